// Zooming the graph: by buttons, by keys, by the wheel with Ctrl. What is zoomed is kept when the graph is
// drawn anew, since it is not the drawing that is zoomed but what it stands in.

const view = document.getElementById('graph-view');
const tools = document.getElementById('graph-tools');

const STEP = 1.2;
const LEAST = 0.1;
const MOST = 3;
let zoom = 1;

/** @param {number} wanted */
function set(wanted) {
  const before = zoom;
  zoom = Math.min(MOST, Math.max(LEAST, wanted));
  const middle = [view.scrollLeft + view.clientWidth / 2, view.scrollTop + view.clientHeight / 2];
  view.style.setProperty('--zoom', String(zoom));
  const [x, y] = middle.map((at) => (at * zoom) / before);
  view.scrollTo(x - view.clientWidth / 2, y - view.clientHeight / 2);
}

function fit() {
  const drawing = view.querySelector('svg.dag');
  if (drawing) set(Math.min(1, (view.clientWidth - 4) / Number(drawing.getAttribute('width'))));
}

const actions = { in: () => set(zoom * STEP), out: () => set(zoom / STEP), fit };

if (view && tools) {
  tools.hidden = false;
  tools.addEventListener('click', (event) => {
    const button = event.target.closest('[data-zoom]');
    if (button) actions[button.dataset.zoom]();
  });
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('input, textarea, select, [contenteditable]')) return;
    const action = { '+': actions.in, '=': actions.in, '-': actions.out, 0: actions.fit }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  view.addEventListener(
    'wheel',
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      set(event.deltaY < 0 ? zoom * STEP : zoom / STEP);
    },
    { passive: false },
  );
  const chosen = view.querySelector('.dag-chosen');
  if (chosen) chosen.scrollIntoView({ block: 'center', inline: 'center' });
}
