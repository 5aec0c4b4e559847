// How a log is read: from its end, which is followed until someone scrolls away from it, or around a place.
import { Rows } from './log_rows.js';
import { compare } from './log_source.js';
import { MOST_ROWS, Window } from './log_window.js';

/** @typedef {import('./log_source.js').Line} Line */
/** @typedef {import('./log_source.js').Place} Place */

/** Lines that are fetched at once. */
const PAGE = 300;
/** Lines that are shown at once: what a frame has time for. */
const PER_FRAME = 400;
/** So near to an end of what is here, more is fetched. */
const NEAR_PX = 800;
const AT_END_PX = 12;

export class View {
  #list;
  #rows = new Rows();
  /** Came by the stream and are not shown yet. @type {Line[]} */
  #pending = [];
  #framed = false;
  #fetching = false;
  #wholeBefore = false;
  #lastTop = 0;
  /** Up to where what is here, and pending, goes without a gap. @type {Place} */
  #reach = { attempt: 1, offset: 0 };
  following = true;
  /** Lines that came while nobody followed. */
  missed = 0;

  /**
   * @param {HTMLElement} list
   * @param {import('./log_source.js').Source} source
   * @param {{ changed: () => void, failed: (error: Error) => void }} heard
   */
  constructor(list, source, heard) {
    this.#list = list;
    this.source = source;
    this.heard = heard;
    this.window = new Window(list, this.#rows);
    list.addEventListener('scroll', () => this.#scrolled(), { passive: true });
  }

  /** What is here reaches as far as the stream has come. */
  get #isAttached() {
    return compare(this.#reach, this.source.place) >= 0;
  }

  /** The end of the log, from here on followed. @returns {Promise<import('./log_source.js').Page>} */
  async toEnd() {
    const page = await this.source.tail(PAGE);
    this.#wholeBefore = false;
    this.#show(page.lines, page.next);
    this.follow();
    return page;
  }

  follow() {
    this.following = true;
    this.missed = 0;
    this.#toBottom();
    this.heard.changed();
  }

  /** Shows a line with what is around it. @param {Place} place */
  async goTo({ attempt, offset }) {
    const place = { attempt, offset };
    if (!this.window.has(place)) {
      const [before, page] = await Promise.all([this.source.before(place, PAGE), this.source.after(place, PAGE)]);
      this.#wholeBefore = before.length === 0;
      this.#show([...before, ...page.lines], page.next);
    }
    this.#leave();
    this.mark(place);
  }

  #show(lines, reach) {
    this.#pending = [];
    this.#reach = reach;
    this.window.show(lines);
  }

  /** @param {Place} place */
  mark(place) {
    this.#list.querySelector('.line.marked')?.classList.remove('marked');
    const row = this.window.row(place);
    if (!row) return;
    this.#leave();
    row.classList.add('marked');
    row.scrollIntoView({ block: 'center' });
  }

  /** @param {boolean} raw */
  showRaw(raw) {
    this.#rows.raw = raw;
    this.window.again();
    if (this.following) this.#toBottom();
  }

  /** What the stream brought, and where it had come to before. @param {Line[]} lines @param {Place} before */
  add(lines, before) {
    if (!this.following) {
      this.missed += lines.length;
      this.heard.changed();
    }
    if (compare(this.#reach, before) < 0) {
      if (this.following) this.#more(() => this.#newer());
      return;
    }
    // Who reads elsewhere comes to these by scrolling: they are fetched then.
    if (!this.following && this.window.size + this.#pending.length > MOST_ROWS) return;
    this.#pending.push(...lines.filter((line) => compare(line, this.#reach) >= 0));
    this.#reach = this.source.place;
    if (!this.#framed) {
      this.#framed = true;
      requestAnimationFrame(() => this.#frame());
    }
  }

  #frame() {
    this.#framed = false;
    if (this.#pending.length > MOST_ROWS && this.following) {
      // More than anyone could read: on with the last of it, which is all that would remain.
      this.#pending.splice(0, this.#pending.length - MOST_ROWS / 2);
      this.window.clear();
      this.#wholeBefore = false;
    }
    this.window.append(this.#pending.splice(0, PER_FRAME));
    if (this.following) this.#toBottom();
    if (this.#pending.length > 0) {
      this.#framed = true;
      requestAnimationFrame(() => this.#frame());
    }
  }

  #toBottom() {
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#lastTop = this.#list.scrollTop;
  }

  #leave() {
    if (!this.following) return;
    this.following = false;
    this.heard.changed();
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#list;
    const below = scrollHeight - scrollTop - clientHeight;
    const upwards = scrollTop < this.#lastTop - 1;
    this.#lastTop = scrollTop;
    if (below > AT_END_PX && upwards) this.#leave();
    if (below <= AT_END_PX && !this.following && this.#isAttached) this.follow();
    if (scrollTop < NEAR_PX) this.#more(() => this.#older());
    else if (below < NEAR_PX && !this.#isAttached) this.#more(() => this.#newer());
  }

  /** One page at a time. @param {() => Promise<void>} fetchMore */
  async #more(fetchMore) {
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      await fetchMore();
    } catch (error) {
      this.heard.failed(error);
    } finally {
      this.#fetching = false;
    }
  }

  async #older() {
    // What says nothing takes no room: on, until something is seen or the log begins.
    while (!this.#wholeBefore && this.#list.scrollTop < NEAR_PX) {
      const { first } = this.window;
      if (first === null) return;
      const lines = await this.source.before(first, PAGE);
      if (this.window.first === null || compare(this.window.first, first) !== 0) return;
      this.#wholeBefore = lines.length === 0;
      if (lines.length === 0) return;
      const { end } = this.window;
      this.window.prepend(lines);
      if (compare(this.window.end, end) !== 0) {
        // The end was let go of, and what was to come after it.
        this.#pending = [];
        this.#reach = this.window.end;
      }
      if (this.following) this.#toBottom();
    }
  }

  async #newer() {
    const reach = this.#reach;
    const page = await this.source.after(reach, PAGE);
    if (compare(this.#reach, reach) !== 0) return;
    this.#reach = page.next;
    this.#wholeBefore = false;
    this.window.append(page.lines);
    if (this.following) this.#toBottom();
  }

  /** Fills the view where what it was given does not: at the beginning, or where much of it says nothing. */
  fill() {
    if (this.#list.scrollHeight <= this.#list.clientHeight + NEAR_PX) this.#more(() => this.#older());
  }
}
