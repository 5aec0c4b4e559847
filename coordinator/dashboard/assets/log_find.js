// Finding words in a log: among the lines that are here, and then page by page in the rest.
import { compare } from './log_source.js';

/** @typedef {import('./log_source.js').Place} Place */

/** Lines that are fetched at once to look for words. */
const PAGE = 2000;

export class Find {
  #view;
  #source;
  /** Each search has its number: a newer one, or none, ends those before it. */
  #search = 0;
  /** @type {Place | null} */
  #at = null;
  #words = '';

  /** @param {import('./log_view.js').View} view @param {import('./log_source.js').Source} source @param {(text: string) => void} say */
  constructor(view, source, say) {
    this.#view = view;
    this.#source = source;
    this.say = say;
  }

  stop() {
    this.#search += 1;
    this.#at = null;
    this.say('');
  }

  /** @param {string} words @param {boolean} forwards */
  async next(words, forwards) {
    if (!words) {
      this.stop();
      return;
    }
    if (words !== this.#words) this.#at = null;
    this.#words = words;
    this.#search += 1;
    const search = this.#search;
    this.say('searching …');
    try {
      const found = await this.#look(words.toLowerCase(), forwards, search);
      if (search === this.#search) this.say(found ? `line ${found.offset}` : 'not found');
    } catch (error) {
      if (search === this.#search) this.say(error.message);
    }
  }

  /** @returns {Promise<Place | null>} */
  async #look(words, forwards, search) {
    const view = this.#view;
    const lines = view.window.lines;
    const from = this.#at ?? (forwards ? view.window.first : view.window.end);
    if (!from) return null;
    const beyond = (line) => (forwards ? compare(line, from) > 0 || !this.#at : compare(line, from) < 0);
    const here = (forwards ? lines : lines.reverse()).filter(beyond);
    const found = here.find((line) => this.#matches(line, words));
    if (found) return this.#reached(found);
    let place = forwards ? view.window.end : view.window.first;
    for (let seen = 0; ; ) {
      const page = await this.#page(place, forwards);
      if (search !== this.#search || page.lines.length === 0) return null;
      for (const line of forwards ? page.lines : page.lines.reverse()) {
        if (!line.text.toLowerCase().includes(words)) continue;
        await view.goTo(line);
        if (search !== this.#search) return null;
        if (this.#matches(line, words)) return this.#reached(line);
      }
      seen += page.lines.length;
      place = page.next;
      this.say(`searching … ${seen.toLocaleString()} lines`);
    }
  }

  async #page(place, forwards) {
    if (forwards) return this.#source.after(place, PAGE);
    const lines = await this.#source.before(place, PAGE);
    return { lines, next: lines[0] };
  }

  /** A row that is not seen has nothing to find in it. */
  #matches(line, words) {
    const row = this.#view.window.row(line);
    return row !== null && !row.classList.contains('says-nothing') && row.textContent.toLowerCase().includes(words);
  }

  #reached({ attempt, offset }) {
    this.#at = { attempt, offset };
    this.#view.mark(this.#at);
    return this.#at;
  }
}
