// The live log on a task's page.
import { Find } from './log_find.js';
import { readPlace, Source } from './log_source.js';
import { View } from './log_view.js';

const SAID = { live: 'live', lost: 'disconnected, trying again', ended: 'ended', resting: 'paused' };

/** @param {string} name @returns {HTMLElement} */
const part = (name) => document.getElementById(`log-${name}`);

/** @param {string} text */
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without TLS browsers have no clipboard but the selection's.
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

function say(name, text) {
  part(name).textContent = text;
}

/** @param {HTMLElement} log */
function start(log) {
  const list = part('lines');
  let seenLine = false;

  const source = new Source(log.dataset.task, {
    lines: (lines, before) => {
      seenLine = true;
      part('none').hidden = true;
      view.add(lines, before);
    },
    said: (state, why) => {
      part('state').dataset.state = state;
      say('state', why ?? SAID[state]);
      if (state === 'ended' && !seenLine) say('none', 'It printed nothing.');
    },
  });
  const view = new View(list, source, {
    changed: () => {
      part('newest').hidden = view.following;
      const lines = `${view.missed.toLocaleString()} new line${view.missed === 1 ? '' : 's'}`;
      say('newest', view.missed > 0 ? `↓ ${lines}` : '↓ Jump to newest');
    },
    failed: (error) => say('found', error.message),
  });
  const find = new Find(view, source, (text) => say('found', text));

  const toHash = () => {
    const place = readPlace(location.hash.replace(/^#L/, ''));
    if (place) view.goTo(place).catch((error) => say('found', error.message));
  };
  const begin = async () => {
    try {
      const page = await view.toEnd();
      seenLine = page.lines.length > 0;
      part('none').hidden = seenLine;
      source.place = page.next;
      view.fill();
      toHash();
      if (document.hidden) return;
      source.follow(page.next);
    } catch (error) {
      part('state').dataset.state = 'lost';
      say('state', error.message);
      if (!error.isFinal) setTimeout(begin, 5000);
    }
  };

  log.hidden = false;
  begin();
  addEventListener('hashchange', toHash);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) source.resume();
    else {
      source.rest();
      if (part('state').dataset.state === 'live') say('state', SAID.resting);
    }
  });
  part('newest').addEventListener('click', () => {
    view.toEnd().catch((error) => say('found', error.message));
  });
  part('raw').addEventListener('change', (event) => view.showRaw(event.target.checked));
  part('find').addEventListener('submit', (event) => {
    event.preventDefault();
    find.next(part('words').value, event.submitter?.value !== 'back');
  });
  part('words').addEventListener('keydown', (event) => {
    if (event.key === 'Escape') find.stop();
    if (event.key !== 'Enter') return;
    event.preventDefault();
    find.next(part('words').value, !event.shiftKey);
  });
  list.addEventListener('click', (event) => {
    const button = event.target instanceof Element && event.target.closest('button.copy');
    if (!button) return;
    const done = (text) => {
      button.textContent = text;
      setTimeout(() => (button.textContent = 'Copy'), 1500);
    };
    copy(button.parentElement.querySelector('pre').textContent).then(() => done('Copied'), () => done('Not allowed'));
  });
}

const log = document.getElementById('log');
if (log) start(log);
