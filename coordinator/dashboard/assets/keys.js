// Keys. All of them are listed here, and the help (`?`) shows this list. None is taken from where someone types,
// nor from the browser (with Ctrl, Alt or Meta).

/** @type {[string, string, () => void][]} - keys, what they do, and that */
const KEYS = [
  ['g f', 'Go to the fleet', () => go('/')],
  ['g t', 'Go to tasks', () => go('/tasks')],
  ['g d', 'Go to the graph of tasks', () => go('/graph')],
  ['g q', 'Go to questions', () => go('/questions')],
  ['g m', 'Go to messages', () => go('/messages')],
  ['g h', 'Go to handoffs', () => go('/handoffs')],
  ['g w', 'Go to workflows', () => go('/workflows')],
  ['g r', 'Go to repositories', () => go('/repos')],
  ['n', 'New task', () => go('/tasks/new')],
  ['/', 'Search', search],
  ['j', 'Next row', () => choose(1)],
  ['k', 'Previous row', () => choose(-1)],
  ['Enter', 'Open the chosen row', open],
  ['Escape', 'Let go of the row', () => choose(0)],
  ['?', 'Show or hide this help', help],
];
/** Within which the second key of a pair comes. */
const PAIR_MS = 1500;

/** @param {string} path */
const go = (path) => location.assign(path);

function search() {
  const box = document.querySelector('input[type="search"]');
  if (box instanceof HTMLInputElement) box.focus();
  else go('/tasks');
}

/** Rows have a link marked `data-row`: what they open. @param {number} step - 0: none is chosen any more */
function choose(step) {
  const rows = [...document.querySelectorAll('a[data-row]')].map((link) => link.closest('tr, li, article') ?? link);
  const at = rows.findIndex((row) => row.hasAttribute('data-chosen'));
  rows[at]?.removeAttribute('data-chosen');
  if (step === 0 || rows.length === 0) return;
  const next = rows[at < 0 && step < 0 ? rows.length - 1 : Math.min(Math.max(at + step, 0), rows.length - 1)];
  next.setAttribute('data-chosen', '');
  next.scrollIntoView({ block: 'nearest' });
}

function open() {
  const link = document.querySelector('[data-chosen] a[data-row], a[data-row][data-chosen]');
  if (link instanceof HTMLAnchorElement) link.click();
}

function help() {
  const shown = document.getElementById('keys');
  if (shown instanceof HTMLDialogElement) {
    shown.close();
    return;
  }
  const dialog = document.createElement('dialog');
  dialog.id = 'keys';
  const title = document.createElement('h2');
  title.textContent = 'Keys';
  const list = document.createElement('dl');
  list.className = 'facts';
  for (const [keys, does] of KEYS) {
    const name = document.createElement('dt');
    name.append(...keys.split(' ').flatMap((key, index) => [index ? ' ' : '', kbd(key)]));
    const what = document.createElement('dd');
    what.textContent = does;
    list.append(name, what);
  }
  dialog.append(title, list);
  dialog.addEventListener('close', () => dialog.remove());
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

/** @param {string} key */
function kbd(key) {
  const shown = document.createElement('kbd');
  shown.textContent = key;
  return shown;
}

/** @param {KeyboardEvent} event @returns {boolean} */
function isTheirs(event) {
  const at = event.target;
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return true;
  if (!(at instanceof Element)) return false;
  if (at.closest('input, textarea, select, [contenteditable]')) return true;
  // Whatever has the focus is opened by Enter itself.
  return event.key === 'Enter' && at.closest('a, button, summary') !== null;
}

export function startKeys() {
  let first = '';
  let at = 0;
  document.addEventListener('keydown', (event) => {
    if (isTheirs(event)) return;
    const modal = document.querySelector('dialog[open]');
    if (modal && !(event.key === '?' && modal.id === 'keys')) return;
    const pair = event.timeStamp - at < PAIR_MS && first ? `${first} ${event.key}` : event.key;
    const [, , act] = KEYS.find(([keys]) => keys === pair) ?? KEYS.find(([keys]) => keys === event.key) ?? [];
    first = act ? '' : event.key;
    at = event.timeStamp;
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.getElementById('help')?.addEventListener('click', help);
}
