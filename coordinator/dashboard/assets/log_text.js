// Text as nodes of the page: what terminals colour, and a small part of Markdown. Text never becomes markup.

/** @param {string} name @param {string} [kind] @param {(Node | string)[]} children */
export function element(name, kind, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...children);
  return made;
}

// What a terminal would do, of which colours and weights are shown: CSI sequences, OSC ones, two-byte escapes.
const ESCAPES = /\x1b\[([0-9;:]*)([ -/]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]/g;
const CONTROL = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g;
const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/** What a line leaves on the screen: a carriage return begins it anew. @param {string} line */
function overwritten(line) {
  const from = line.replace(/\r+$/, '').lastIndexOf('\r');
  return line.slice(from + 1).replace(/\r+$/, '');
}

/** @param {string} text */
const plain = (text) => text.split('\n').map(overwritten).join('\n').replace(CONTROL, '�');

/** Text as a terminal shows it. @param {string} text @returns {DocumentFragment} */
export function terminal(text) {
  const shown = document.createDocumentFragment();
  const style = new Set();
  let from = 0;
  const put = (piece) => {
    if (!piece) return;
    shown.append(style.size ? element('span', [...style].join(' '), plain(piece)) : plain(piece));
  };
  for (const escape of text.matchAll(ESCAPES)) {
    put(text.slice(from, escape.index));
    from = escape.index + escape[0].length;
    if (escape[3] === 'm' && !escape[2]) restyle(style, escape[1]);
  }
  put(text.slice(from));
  return shown;
}

/** @param {Set<string>} style @param {string} codes */
function restyle(style, codes) {
  const drop = (begin) => [...style].forEach((name) => name.startsWith(begin) && style.delete(name));
  const list = codes.split(/[;:]/).map(Number);
  for (let at = 0; at < list.length; at += 1) {
    const code = list[at];
    if (code === 0) style.clear();
    else if (code === 1) style.add('ansi-bold');
    else if (code === 2) style.add('ansi-dim');
    else if (code === 3) style.add('ansi-italic');
    else if (code === 4) style.add('ansi-underline');
    else if (code === 22) ['ansi-bold', 'ansi-dim'].forEach((name) => style.delete(name));
    else if (code === 23) style.delete('ansi-italic');
    else if (code === 24) style.delete('ansi-underline');
    else if (code === 39) drop('ansi-fg-');
    else if (code === 49) drop('ansi-bg-');
    else if (code === 38 || code === 48) {
      // Of 256 colours the first sixteen are these; others are left as they are.
      const ground = code === 38 ? 'fg' : 'bg';
      if (list[at + 1] === 5 && list[at + 2] < 16) {
        drop(`ansi-${ground}-`);
        style.add(`ansi-${ground}-${NAMES[list[at + 2] % 8]}`);
      }
      at += list[at + 1] === 5 ? 2 : 4;
    } else {
      const base = [30, 40, 90, 100].find((base) => code >= base && code < base + 8);
      if (base === undefined) continue;
      const ground = base === 30 || base === 90 ? 'fg' : 'bg';
      drop(`ansi-${ground}-`);
      style.add(`ansi-${ground}-${NAMES[code - base]}`);
    }
  }
}

/** A block of code or output that can be copied. @param {string} text @param {string} [kind] */
export function code(text, kind = '') {
  const block = element('div', `code ${kind}`.trim(), element('pre', '', terminal(text)));
  const copy = element('button', 'copy quiet small', 'Copy');
  copy.type = 'button';
  block.append(copy);
  return block;
}

/** Words with code, bold and emphasis among them. @param {string} text @returns {(Node | string)[]} */
function inline(text) {
  const parts = [];
  let from = 0;
  for (const found of text.matchAll(/`([^`\n]+)`|\*\*([^*\n]+)\*\*|(?<![\w*])\*([^*\s][^*\n]*)\*(?![\w*])/g)) {
    parts.push(plain(text.slice(from, found.index)));
    const [, mono, bold, emphasis] = found;
    if (mono) parts.push(element('code', '', plain(mono)));
    else if (bold) parts.push(element('strong', '', plain(bold)));
    else parts.push(element('em', '', plain(emphasis)));
    from = found.index + found[0].length;
  }
  parts.push(plain(text.slice(from)));
  return parts;
}

/** What agents write: paragraphs, lists, headings, fenced code. @param {string} text @returns {HTMLElement} */
export function markdown(text) {
  const shown = element('div', 'prose');
  /** @type {{ kind: string, block: HTMLElement } | null} */
  let open = null;
  const lines = text.trim().split('\n');
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const fence = /^\s*(```+|~~~+)/.exec(line);
    if (fence) {
      const end = lines.findIndex((other, index) => index > at && other.trim().startsWith(fence[1]));
      const last = end < 0 ? lines.length : end;
      shown.append(code(lines.slice(at + 1, last).join('\n')));
      at = last;
      open = null;
      continue;
    }
    const [kind, content, depth] = kindOf(line);
    if (kind === 'empty') {
      open = null;
    } else if (kind === 'heading') {
      shown.append(element('p', 'heading', ...inline(content)));
      open = null;
    } else if (kind === 'p') {
      if (open?.kind === 'p') open.block.append('\n', ...inline(content));
      else open = { kind, block: shown.appendChild(element('p', '', ...inline(content))) };
    } else {
      if (open?.kind !== kind) open = { kind, block: shown.appendChild(element(kind)) };
      open.block.append(element('li', depth ? 'deeper' : '', ...inline(content)));
    }
  }
  return shown;
}

/** @param {string} line @returns {[string, string, boolean]} its kind, what is in it, whether it is set in */
function kindOf(line) {
  if (!line.trim()) return ['empty', '', false];
  const [, marks] = /^(#{1,6})\s/.exec(line) ?? [];
  if (marks) return ['heading', line.slice(marks.length).trim(), false];
  const [, space, item] = /^(\s*)[-*+]\s+(.*)$/.exec(line) ?? [];
  if (item !== undefined) return ['ul', item, space.length > 1];
  const [, before, numbered] = /^(\s*)\d+[.)]\s+(.*)$/.exec(line) ?? [];
  if (numbered !== undefined) return ['ol', numbered, before.length > 1];
  return ['p', line, false];
}
