// The part of a log that is on the page: some two thousand lines of it, however long it is. What is older or newer
// is fetched when someone scrolls there, and what is then far away is let go of.
import { compare } from './log_source.js';

/** @typedef {import('./log_source.js').Line} Line */
/** @typedef {import('./log_source.js').Place} Place */

export const MOST_ROWS = 2000;
/** Lines that are let go of at once. */
const CHUNK = 200;

/** @param {Line} line @returns {Place} */
const placeOf = ({ attempt, offset }) => ({ attempt, offset });

export class Window {
  /** In order. Each: its lines and the element they are in. @type {{ lines: Line[], element: HTMLElement }[]} */
  #chunks = [];
  #rows;
  #list;
  /** Pieces of lines that go on after the last line that is here. @type {Map<string, string>} */
  #begun = new Map();

  /** @param {HTMLElement} list - what scrolls @param {import('./log_rows.js').Rows} rows */
  constructor(list, rows) {
    this.#list = list;
    this.#rows = rows;
  }

  /** The first line's place. @returns {Place | null} */
  get first() {
    const line = this.#chunks[0]?.lines[0];
    return line ? placeOf(line) : null;
  }

  /** The place after the last line's. @returns {Place | null} */
  get end() {
    const line = this.#chunks.at(-1)?.lines.at(-1);
    return line ? { attempt: line.attempt, offset: line.offset + 1 } : null;
  }

  get lines() {
    return this.#chunks.flatMap((chunk) => chunk.lines);
  }

  get size() {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.lines.length, 0);
  }

  /** @param {Place} place */
  has(place) {
    return this.first !== null && compare(this.first, place) <= 0 && compare(place, this.end) < 0;
  }

  /** @param {Place} place @returns {HTMLElement | null} */
  row({ attempt, offset }) {
    return document.getElementById(`L${attempt}:${offset}`);
  }

  clear() {
    this.#chunks = [];
    this.#begun.clear();
    this.#list.replaceChildren();
  }

  /** Shows other lines in place of those that are here. @param {Line[]} lines */
  show(lines) {
    this.clear();
    this.append(lines);
  }

  /** The same lines, made into rows anew. */
  again() {
    const top = this.#list.scrollTop;
    this.show(this.lines);
    this.#list.scrollTop = top;
  }

  /** Lines that come after those that are here; what is too many is let go of at the other end. @param {Line[]} lines */
  append(lines) {
    for (let from = 0; from < lines.length; from += CHUNK) {
      const chunk = this.#chunk(lines.slice(from, from + CHUNK), this.#begun);
      this.#chunks.push(chunk);
      this.#list.append(chunk.element);
    }
    while (this.size - (this.#chunks[0]?.lines.length ?? 0) >= MOST_ROWS) {
      const [chunk] = this.#chunks.splice(0, 1);
      const before = this.#list.scrollHeight;
      chunk.element.remove();
      this.#list.scrollTop -= before - this.#list.scrollHeight;
    }
  }

  /** Lines that come before those that are here. What is seen stays where it is. @param {Line[]} lines */
  prepend(lines) {
    const fromBelow = this.#list.scrollHeight - this.#list.scrollTop;
    const chunks = [];
    const begun = new Map();
    for (let from = 0; from < lines.length; from += CHUNK) {
      chunks.push(this.#chunk(lines.slice(from, from + CHUNK), begun));
    }
    this.#chunks.unshift(...chunks);
    this.#list.prepend(...chunks.map((chunk) => chunk.element));
    this.#list.scrollTop = this.#list.scrollHeight - fromBelow;
    while (this.size - this.#chunks.at(-1).lines.length >= MOST_ROWS) {
      this.#chunks.pop().element.remove();
      this.#begun.clear();
    }
  }

  #chunk(lines, begun) {
    const element = document.createElement('div');
    element.className = 'chunk';
    element.append(...this.#rows.of(lines, begun));
    return { lines, element };
  }
}
