// Keeps the message board up to date: what is posted is in a feed of its own.
import { refresh } from './refresh.js';

const BETWEEN_MS = 1000;
const PAUSE_MS = 5000;

/** Number of the newest message that the page has seen. */
const newest = () => document.querySelector('meta[name="factory-board"]')?.getAttribute('content') ?? '0';

/** @type {EventSource | null} */
let stream = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let soon;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let again;
let seen = newest();

function refreshSoon() {
  soon ??= setTimeout(async () => {
    soon = undefined;
    try {
      await refresh();
    } catch {
      // The frame says that there is no connection; what was missed comes with the next.
    }
  }, BETWEEN_MS);
}

function follow() {
  clearTimeout(again);
  if (stream || document.hidden) return;
  const opened = new EventSource(`/api/messages/stream/sse?after=${encodeURIComponent(seen)}`);
  stream = opened;
  opened.addEventListener('message', (event) => {
    seen = event.lastEventId || seen;
    refreshSoon();
  });
  opened.addEventListener('error', () => {
    if (opened.readyState !== EventSource.CLOSED) return;
    rest();
    again = setTimeout(follow, PAUSE_MS);
  });
}

function rest() {
  stream?.close();
  stream = null;
}

follow();
document.addEventListener('visibilitychange', () => (document.hidden ? rest() : follow()));
