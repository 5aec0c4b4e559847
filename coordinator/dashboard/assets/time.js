// Times as one reads them, kept fresh: `<time datetime="…">3 min ago</time>`, made the same way by the coordinator.
// What is marked `data-since` counts up as a length of time.

/** @param {number} seconds @returns {string} as `span` of the coordinator's templates */
function span(seconds) {
  const [s, m, h] = [Math.floor(seconds), Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (s < 60) return `${s} s`;
  if (m < 60) return `${m} min`;
  if (h < 48) return h < 10 && m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
  return `${Math.floor(h / 24)} d`;
}

/** @param {number} at @param {number} now @returns {string} */
function ago(at, now) {
  const seconds = (now - at) / 1000;
  if (Math.abs(seconds) < 5) return 'now';
  return seconds > 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

export function showTimes() {
  const now = Date.now();
  for (const time of document.querySelectorAll('time[datetime]')) {
    const at = Date.parse(time.getAttribute('datetime') ?? '');
    if (Number.isNaN(at) || 'exact' in time.dataset) continue;
    const text = 'since' in time.dataset ? span(Math.max(0, now - at) / 1000) : ago(at, now);
    if (time.textContent !== text) time.textContent = text;
    const full = new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });
    if (time.title !== full) time.title = full;
  }
}

export function startTimes() {
  showTimes();
  setInterval(() => document.hidden || showTimes(), 5000);
}
