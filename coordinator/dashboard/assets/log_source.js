// Where a task's log comes from: pages of it, and what is added to it, live.

/** @typedef {{ attempt: number, offset: number }} Place */
/** @typedef {Place & { at: string, stream: string, text: string, continues: boolean }} Line */
/** @typedef {{ lines: Line[], next: Place, atEnd: boolean, complete: boolean }} Page */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15000;

/** Which is first: less than, equal to or more than nought. @param {Place} one @param {Place} other */
export const compare = (one, other) => one.attempt - other.attempt || one.offset - other.offset;

/** @param {Place} place */
export const written = ({ attempt, offset }) => `${attempt}:${offset}`;

/** @param {string} text @returns {Place | null} */
export function readPlace(text) {
  const [, attempt, offset] = /^(\d+):(\d+)$/.exec(text) ?? [];
  return attempt ? { attempt: Number(attempt), offset: Number(offset) } : null;
}

export class Source {
  #path;
  /** @type {EventSource | null} */
  #stream = null;
  #pause = FIRST_PAUSE_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #again;
  #over = false;
  /** How far the stream has come. @type {Place} */
  place = { attempt: 1, offset: 0 };

  /**
   * @param {string} task
   * @param {{ lines: (lines: Line[], before: Place) => void, said: (state: 'live' | 'lost' | 'ended' | 'resting', why?: string) => void }} heard
   */
  constructor(task, heard) {
    this.#path = `/api/tasks/${encodeURIComponent(task)}/logs`;
    this.heard = heard;
  }

  /** @param {Record<string, string | number>} query @returns {Promise<Page>} */
  async #page(query) {
    const response = await fetch(`${this.#path}?${new URLSearchParams(query)}`, { cache: 'no-store' });
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      const why = problem.detail ?? `the coordinator answered ${response.status}`;
      throw Object.assign(new Error(why), { isFinal: response.status < 500 });
    }
    const page = await response.json();
    const lines = page.lines.map((line) => ({ ...line, attempt: page.attempt }));
    const next = readPlace(page.next_since) ?? this.place;
    return { lines, next, atEnd: page.at_end, complete: page.complete };
  }

  /** The last lines there are. @param {number} count */
  tail(count) {
    return this.#page({ tail: count });
  }

  /** What comes from a place on, of any attempt. @param {Place} place @param {number} count */
  after(place, count) {
    return this.#page({ since: written(place), limit: count });
  }

  /** What comes before a place; nothing only where nothing does. @param {Place} place @param {number} count */
  async before(place, count) {
    const { attempt, offset } = place;
    if (offset > 0) {
      const lines = [];
      let next = { attempt, offset: Math.max(0, offset - count) };
      // A page is bounded by its bytes too.
      while (next.offset < offset) {
        const page = await this.#page({ since: written(next), attempt, limit: offset - next.offset });
        if (page.lines.length === 0) break;
        lines.push(...page.lines);
        next = page.next;
      }
      return lines;
    }
    for (let earlier = attempt - 1; earlier > 0; earlier -= 1) {
      const page = await this.#page({ tail: count, attempt: earlier });
      if (page.lines.length > 0) return page.lines;
    }
    return [];
  }

  /** Follows the log from a place on. @param {Place} place */
  follow(place) {
    this.place = place;
    this.rest();
    if (this.#over) return;
    const stream = new EventSource(`${this.#path}/sse?after=${written(place)}`);
    this.#stream = stream;
    stream.addEventListener('open', () => {
      this.#pause = FIRST_PAUSE_MS;
      this.heard.said('live');
    });
    stream.addEventListener('lines', (event) => this.#lines(JSON.parse(event.data), readPlace(event.lastEventId)));
    stream.addEventListener('end', () => this.#end('ended'));
    stream.addEventListener('problem', (event) => this.#end('lost', JSON.parse(event.data).detail));
    stream.addEventListener('error', () => this.#lost());
  }

  /** Lets the stream go: nobody looks. */
  rest() {
    this.#stream?.close();
    this.#stream = null;
    clearTimeout(this.#again);
  }

  /** Goes on where the stream was let go. */
  resume() {
    if (!this.#stream) this.follow(this.place);
  }

  #lines({ attempt, lines }, place) {
    const fresh = lines
      .map((line) => ({ ...line, attempt }))
      .filter((line) => compare(line, this.place) >= 0);
    const last = fresh.at(-1);
    const before = this.place;
    this.place = place ?? (last ? { attempt, offset: last.offset + 1 } : this.place);
    if (fresh.length > 0) this.heard.lines(fresh, before);
  }

  /** The browser comes back by itself from a connection that broke, and not from an answer that was an error. */
  #lost() {
    this.heard.said('lost');
    if (this.#stream?.readyState !== EventSource.CLOSED) return;
    this.rest();
    this.#again = setTimeout(() => this.follow(this.place), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  /** @param {'ended' | 'lost'} state @param {string} [why] */
  #end(state, why) {
    this.#over = true;
    this.rest();
    this.heard.said(state, why);
  }
}
