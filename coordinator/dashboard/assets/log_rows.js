// A line of the log as a row of the page.
import { said } from './log_agent.js';
import { element, terminal } from './log_text.js';

/** @typedef {import('./log_source.js').Line} Line */

/** Characters of a line that came in pieces, up to which it is put together again. */
const MOST_JOINED = 2_000_000;
/** Characters that are shown of a line which is no message of an agent's. */
const MOST_SHOWN = 20_000;

/** Makes rows of lines that come one after the other. */
export class Rows {
  /** The agent was seen to print messages, so what says nothing to people is passed over. */
  #structured = false;
  raw = false;

  /**
   * @param {Line[]} lines
   * @param {Map<string, string>} begun - by stream, the pieces so far of a line that goes on
   * @returns {HTMLElement[]}
   */
  of(lines, begun) {
    return lines.map((line) => {
      const text = (begun.get(line.stream) ?? '') + line.text;
      begun.delete(line.stream);
      if (line.continues && !this.raw && text.length < MOST_JOINED) {
        begun.set(line.stream, text);
        return this.#row(line, []);
      }
      return this.#row(line, this.#shown(line, text));
    });
  }

  /** @param {Line} line @param {Node[]} shown - none: the row is there, and is not seen */
  #row({ attempt, offset, at, stream }, shown) {
    const row = element('div', `line from-${stream}`);
    row.id = `L${attempt}:${offset}`;
    if (offset === 0) {
      row.append(element('div', 'attempt', `Attempt ${attempt}`));
    } else if (shown.length === 0) {
      row.classList.add('says-nothing');
      return row;
    }
    const number = element('a', 'number', String(offset));
    number.href = `#${row.id}`;
    number.title = new Date(at).toLocaleString();
    row.append(number, element('div', 'content', ...shown));
    return row;
  }

  /** @param {Line} line @param {string} text @returns {Node[]} */
  #shown({ stream }, text) {
    if (stream === 'stdout' && !this.raw) {
      const nodes = said(text);
      if (nodes) {
        this.#structured = true;
        return nodes;
      }
      if (this.#structured && text.startsWith('{')) return [];
    }
    const cut = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
    return [element('div', 'printed', this.raw ? cut : terminal(cut))];
  }
}
