// What Claude Code prints with `--output-format stream-json`, as people read it: words, tool calls by the argument
// that matters, results cut to their beginning. The scripted agent prints the same. Every field may be missing,
// and unknown kinds are passed over, as in the worker's own reader.
import { code, element, markdown, terminal } from './log_text.js';

/** Lines of a result or of a file that are shown before someone asks for all. */
const SHORT = 8;
/** Lines and characters that are shown at most; the raw log has the rest. */
const MOST_LINES = 4000;
const MOST_CHARACTERS = 300_000;
/** Lines of an edit that is shown at once. */
const SMALL_EDIT = 40;
/** Argument names that say what a call is about, the most telling first. */
const SALIENT = [
  'command', 'file_path', 'notebook_path', 'pattern', 'query', 'url', 'skill', 'description', 'path', 'prompt',
  'subject', 'task_id',
];

const string = (value) => (typeof value === 'string' ? value : '');
const list = (value) => (Array.isArray(value) ? value : []);
const count = (number, noun) => `${number.toLocaleString()} ${noun}${number === 1 ? '' : 's'}`;

/**
 * What a line says to people. `undefined`: it is none of the agent's messages; empty: it is, and says nothing.
 * @param {string} text @returns {Node[] | undefined}
 */
export function said(text) {
  if (!text.startsWith('{')) return undefined;
  let line;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  const show = {
    assistant: () => (line.is_api_error_message === true ? [apiError(line)] : message(line)),
    user: () => message(line),
    system: () => system(line),
    result: () => [result(line)],
    rate_limit_event: () => rateLimit(line.rate_limit_info ?? {}),
    stream_event: () => [],
  }[line.type];
  return show?.();
}

function system(line) {
  if (line.subtype === 'init') {
    const version = line.claude_code_version ? `claude ${line.claude_code_version} · ` : '';
    return [element('div', 'aside', `${version}${string(line.model) || 'unknown model'}`)];
  }
  if (line.subtype === 'api_retry') {
    const status = line.error_status ? ` ${line.error_status}` : '';
    const pause = Math.round((line.retry_delay_ms ?? 0) / 100) / 10;
    const of = `try ${line.attempt} of ${line.max_retries} in ${pause} s`;
    return [element('div', 'warned', `API${status} ${string(line.error)}, ${of}`)];
  }
  return [];
}

function apiError(line) {
  const status = line.api_error_status ? ` ${line.api_error_status}` : '';
  return element('div', 'failed', `✕ API${status} ${string(line.error)} ${joined(line.message?.content)}`);
}

function rateLimit(info) {
  if (info.status !== 'rejected') return [];
  const reset = info.resetsAt ? `, reset at ${new Date(info.resetsAt * 1000).toLocaleString()}` : '';
  return [element('div', 'warned', `usage limit reached (${string(info.rateLimitType)})${reset}`)];
}

function message(line) {
  const content = line.message?.content;
  const fromAgent = line.type === 'assistant';
  const blocks = typeof content === 'string' ? (fromAgent ? [{ type: 'text', text: content }] : []) : list(content);
  const shown = blocks.flatMap((block) => {
    if (block?.type === 'text' && fromAgent && string(block.text).trim()) return [markdown(block.text)];
    if (block?.type === 'thinking' && string(block.thinking).trim()) return [thinking(block.thinking)];
    if (block?.type === 'tool_use' || block?.type === 'server_tool_use') return [call(block)];
    if (block?.type === 'tool_result') return [outcome(block)];
    return [];
  });
  // What a subagent says stands apart from what its caller says.
  return line.parent_tool_use_id && shown.length ? [element('div', 'subagent', ...shown)] : shown;
}

function thinking(text) {
  const first = text.trim().split('\n')[0].slice(0, 160);
  return foldable('thinking', [element('span', 'aside', `Thinking: ${first}`)], () => [markdown(text)]);
}

/** What opens, and is made when it first does. */
function foldable(kind, summary, make, open = false) {
  const details = element('details', kind, element('summary', '', ...summary));
  const fill = () => details.childElementCount === 1 && details.append(...make());
  if (open) {
    details.open = true;
    fill();
  } else {
    details.addEventListener('toggle', fill, { once: true });
  }
  return details;
}

function call({ name, input }) {
  const given = input && typeof input === 'object' ? input : {};
  const telling = SALIENT.map((key) => given[key]).find((value) => typeof value === 'string');
  const argument = inWorkspace(telling ?? Object.values(given).find((value) => typeof value === 'string') ?? '');
  const short = argument.length > 300 ? `${argument.slice(0, 300)}…` : argument;
  const todos = name === 'TodoWrite' && Array.isArray(given.todos);
  const summary = [
    element('span', 'tool', toolName(string(name))),
    ' ',
    element('code', 'argument', todos ? count(given.todos.length, 'item') : short.replace(/\s*\n\s*/g, ' ⏎ ')),
  ];
  if (todos) return foldable('call', summary, () => [checklist(given.todos)], true);
  const changes = edits(name, given);
  if (changes) {
    const lines = changes.reduce((sum, change) => sum + change.length, 0);
    return foldable('call', summary, () => changes.map(diff), lines <= SMALL_EDIT);
  }
  return foldable('call', summary, () => [inputOf(given)]);
}

/** Tools of a server are named after it. @param {string} name */
function toolName(name) {
  const [, server, tool] = /^mcp__(.+?)__(.+)$/.exec(name) ?? [];
  return tool ? `${server}: ${tool}` : name || 'tool';
}

function inputOf(given) {
  const { command, ...rest } = given;
  if (typeof command !== 'string') return code(JSON.stringify(given, null, 2), 'input');
  const more = Object.keys(rest).length ? `\n\n${JSON.stringify(rest, null, 2)}` : '';
  return code(command + more, 'input');
}

function checklist(todos) {
  const item = (todo) => {
    const status = ['completed', 'in_progress'].includes(todo?.status) ? todo.status : 'pending';
    const mark = { completed: '☑', in_progress: '◐', pending: '☐' }[status];
    return element('li', `todo-${status}`, element('span', 'mark', mark), ` ${string(todo?.content)}`);
  };
  return element('ul', 'todos', ...todos.map(item));
}

/** @returns {[string, string][][] | null} mark and text of each line, for each edit */
function edits(name, given) {
  if (name === 'Edit') return [compared(string(given.old_string), string(given.new_string))];
  if (name === 'MultiEdit') {
    return list(given.edits).map((edit) => compared(string(edit?.old_string), string(edit?.new_string)));
  }
  if (name === 'Write' && given.content) return [compared('', string(given.content))];
  return null;
}

/** What remains at the beginning and at the end stays; between them the old goes and the new comes. */
function compared(old, now) {
  const [before, after] = [old, now].map((text) => (text ? text.replace(/\n$/, '').split('\n') : []));
  const most = Math.min(before.length, after.length);
  let head = 0;
  while (head < most && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < most - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  return [
    ...before.slice(0, head).map((line) => [' ', line]),
    ...before.slice(head, before.length - tail).map((line) => ['-', line]),
    ...after.slice(head, after.length - tail).map((line) => ['+', line]),
    ...before.slice(before.length - tail).map((line) => [' ', line]),
  ];
}

function diff(lines) {
  const kinds = { ' ': 'context', '-': 'removed', '+': 'added' };
  const row = ([mark, text]) => element('div', kinds[mark], `${mark} `, terminal(text));
  const shown = element('div', 'edit', ...lines.slice(0, SMALL_EDIT).map(row));
  if (lines.length > SMALL_EDIT) {
    shown.append(more(lines.length - SMALL_EDIT, () => lines.slice(SMALL_EDIT, MOST_LINES).map(row)));
  }
  return shown;
}

/** A button that gives its place to what was left out. */
function more(left, make) {
  const button = element('button', 'more quiet small', `Show ${count(left, 'more line')}`);
  button.type = 'button';
  button.addEventListener('click', () => button.replaceWith(...make()));
  return button;
}

function outcome(block) {
  const text = joined(block.content).replace(/\s+$/, '').slice(0, MOST_CHARACTERS);
  const lines = text.split('\n');
  const kind = block.is_error === true ? 'outcome failed' : 'outcome';
  if (!text) return element('div', kind, element('span', 'aside', block.is_error ? '✕ failed' : '(no output)'));
  const shown = element('div', kind, code(lines.slice(0, SHORT).map((line) => line.slice(0, 2000)).join('\n')));
  if (lines.length > SHORT) {
    const all = () => [code(lines.slice(0, MOST_LINES).join('\n'))];
    const button = more(lines.length - SHORT, () => {
      shown.firstElementChild.remove();
      return all();
    });
    shown.append(button);
  }
  return shown;
}

function result(line) {
  const bad = line.is_error !== false;
  const parts = [
    line.duration_ms && `${Math.round(line.duration_ms / 1000)} s`,
    line.num_turns && count(line.num_turns, 'turn'),
    typeof line.total_cost_usd === 'number' && `$${line.total_cost_usd.toFixed(line.total_cost_usd < 1 ? 3 : 2)}`,
    line.usage?.output_tokens && `${line.usage.output_tokens.toLocaleString()} tokens out`,
  ].filter(Boolean);
  const title = bad ? `✕ ${string(line.subtype) || 'failed'}` : '✓ done';
  const shown = element('div', bad ? 'final failed' : 'final', element('strong', '', title), ` ${parts.join(' · ')}`);
  const why = string(line.result) || list(line.errors).map(string).join('\n');
  if (bad && why) shown.append(code(why));
  return shown;
}

/** Content is a string, or blocks of which some are text. */
function joined(content) {
  if (typeof content === 'string') return content;
  const part = (block) => (block?.type === 'text' || !block?.type ? string(block?.text) : `[${block.type}]`);
  return list(content).map(part).join('\n');
}

/** A path inside an attempt's workspace, as seen from there. @param {string} argument */
function inWorkspace(argument) {
  const [, path] = /^\/.*?\/workspaces\/[0-9a-f-]{36}\/(.+)$/.exec(argument) ?? [];
  return path ?? argument;
}
