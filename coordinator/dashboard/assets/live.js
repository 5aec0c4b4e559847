// Keeps a page up to date: follows the event feed from the cursor the page was read at, and when something
// happened fetches the same page again and takes over its parts marked `data-live`.
//
// A page says what it wants in its head:
//   factory-cursor   where the feed was when the page was read; without it nothing is followed
//   factory-follow   which events, as a query: `task=7`; all of them where there is none
//   factory-every    seconds after which it is fetched again though nothing happened, for what is in no feed
import { refresh } from './refresh.js';

const BETWEEN_MS = 1000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15000;

const SAID = { connecting: 'connecting', live: 'live', lost: 'disconnected, trying again' };

/** @param {string} name @returns {string | null} */
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.getAttribute('content') ?? null;

/** @param {'connecting' | 'live' | 'lost'} state */
function say(state) {
  const place = document.getElementById('connection');
  if (!place || place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = SAID[state];
  place.hidden = false;
  document.dispatchEvent(new CustomEvent('factory:connection', { detail: state }));
}

class Live {
  /** @type {EventSource | null} */
  #stream = null;
  #pause = FIRST_PAUSE_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #soon;
  #fetching = false;
  #wanted = false;
  #last = performance.now();

  /** Follows the feed from here. @param {string} cursor */
  follow(cursor) {
    const query = new URLSearchParams(meta('factory-follow') ?? '');
    query.set('after', cursor);
    const stream = new EventSource(`/api/events/sse?${query}`);
    this.#stream = stream;
    stream.addEventListener('open', () => {
      this.#pause = FIRST_PAUSE_MS;
      say('live');
    });
    stream.addEventListener('task', (event) => {
      document.dispatchEvent(new CustomEvent('factory:event', { detail: JSON.parse(event.data) }));
      this.refreshSoon();
    });
    stream.addEventListener('error', () => this.#lost());
  }

  /** Lets the stream go: a hidden page costs the coordinator nothing. */
  rest() {
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#again);
    clearTimeout(this.#soon);
    this.#soon = undefined;
  }

  /** Catches up: the page anew, and the feed from where that was read. */
  async resume() {
    clearTimeout(this.#again);
    if (this.#stream) return;
    try {
      await refresh();
    } catch {
      this.#lost();
      return;
    }
    this.#last = performance.now();
    if (!document.hidden && !this.#stream) this.follow(meta('factory-cursor') ?? '0');
  }

  #lost() {
    this.rest();
    if (document.hidden) return;
    say('lost');
    this.#again = setTimeout(() => this.resume(), this.#pause * (0.75 + Math.random() / 2));
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** At most one a second, and never two at a time. */
  refreshSoon() {
    if (this.#fetching) {
      this.#wanted = true;
      return;
    }
    if (this.#soon !== undefined || document.hidden) return;
    const wait = Math.max(0, this.#last + BETWEEN_MS - performance.now());
    this.#soon = setTimeout(() => this.#refresh(), wait);
  }

  async #refresh() {
    this.#soon = undefined;
    this.#fetching = true;
    try {
      await refresh();
    } catch {
      this.#lost();
    } finally {
      this.#fetching = false;
      this.#last = performance.now();
    }
    if (this.#wanted) {
      this.#wanted = false;
      this.refreshSoon();
    }
  }

  /** @returns {boolean} */
  get follows() {
    return this.#stream !== null;
  }
}

export function startLive() {
  const cursor = meta('factory-cursor');
  if (cursor === null) return;
  const live = new Live();
  say('connecting');
  if (!document.hidden) live.follow(cursor);
  document.addEventListener('visibilitychange', () => (document.hidden ? live.rest() : live.resume()));
  // A page that comes back from the browser's own cache has no stream any more.
  addEventListener('pagehide', () => live.rest());
  addEventListener('pageshow', (event) => event.persisted && live.resume());
  document.addEventListener('factory:refresh', () => live.refreshSoon());
  const every = Number(meta('factory-every'));
  if (every > 0) setInterval(() => live.follows && live.refreshSoon(), every * 1000);
}
