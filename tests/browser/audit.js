// What a page shown now lacks for those who cannot see it well, or not use a mouse: a list of words.
const problems = [];
const all = (css) => [...document.querySelectorAll(css)];
const name = (element) => {
  const kind = typeof element.className === 'string' ? element.className.trim() : '';
  return element.tagName.toLowerCase() + (element.id && `#${element.id}`) + (kind && `.${kind.split(/\s+/).join('.')}`);
};

// Contrast, as WCAG 2 has it.
const parsed = (color) => {
  const numbers = (color.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const scale = color.startsWith('color(') ? 255 : 1;
  return [...numbers.slice(0, 3).map((number) => number * scale), numbers[3] ?? 1];
};
const over = (top, under) => {
  const alpha = top[3] + under[3] * (1 - top[3]);
  const mixed = (i) => (alpha === 0 ? 0 : (top[i] * top[3] + under[i] * under[3] * (1 - top[3])) / alpha);
  return [mixed(0), mixed(1), mixed(2), alpha];
};
const luminance = (color) => {
  const [red, green, blue] = color.slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = (one, other) => {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};
const behind = (element) => {
  let color = [0, 0, 0, 0];
  for (let at = element; at && color[3] < 0.999; at = at.parentElement) {
    color = over(color, parsed(getComputedStyle(at).backgroundColor));
  }
  return over(color, [255, 255, 255, 1]);
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const looked = new Set();
while (texts.nextNode()) {
  const words = texts.currentNode.data.trim();
  const element = texts.currentNode.parentElement;
  if (!words || looked.has(element) || element.closest('[disabled], script, style, noscript, option, svg, .visually-hidden')) continue;
  looked.add(element);
  if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
  const style = getComputedStyle(element);
  const size = parseFloat(style.fontSize);
  const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
  const ground = behind(element);
  const found = contrast(over(parsed(style.color), ground), ground);
  if (found < (isLarge ? 3 : 4.5)) problems.push(`contrast ${found.toFixed(2)} of ${name(element)}: ${words.slice(0, 40)}`);
}

// Names and order.
if (!document.documentElement.lang || !document.title) problems.push('no language, or no title');
if (all('h1').length !== 1) problems.push(`${all('h1').length} first headings`);
let level = 0;
for (const heading of all('h1, h2, h3, h4, h5, h6').filter((heading) => heading.checkVisibility())) {
  const next = Number(heading.tagName[1]);
  if (next > level + 1) problems.push(`a heading ${next} after a ${level}: ${heading.textContent.trim()}`);
  level = next;
}
for (const input of all('input:not([type=hidden]), select, textarea')) {
  if (!input.labels?.length && !input.getAttribute('aria-label')) problems.push(`no label: ${name(input)}`);
}
for (const control of all('a[href], button, summary')) {
  const said = control.getAttribute('aria-label') || control.textContent.trim() || control.querySelector('img[alt]')?.alt;
  if (!said) problems.push(`no name: ${name(control)}`);
}
for (const image of all('img:not([alt])')) problems.push(`nothing said instead: ${name(image)}`);
const ids = all('[id]').map((element) => element.id);
for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) problems.push(`an id twice: ${id}`);
for (const attribute of ['aria-describedby', 'aria-labelledby', 'aria-controls']) {
  for (const element of all(`[${attribute}]`)) {
    const gone = element.getAttribute(attribute).split(/\s+/).filter((id) => !document.getElementById(id));
    if (gone.length) problems.push(`${attribute} of ${name(element)} leads nowhere: ${gone}`);
  }
}

// Nobody scrolls sideways to read.
if (document.documentElement.scrollWidth > innerWidth) {
  const wide = all('main *').filter((element) => element.getBoundingClientRect().right > innerWidth + 1);
  problems.push(`${document.documentElement.scrollWidth} px wide, of ${innerWidth}: ${wide.slice(0, 3).map(name)}`);
}
return problems;
