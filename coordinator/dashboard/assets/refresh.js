// Fetches the page that is shown once more, and takes over what is marked as live.
import { morph } from './morph.js';
import { showTimes } from './time.js';

const TAKEN_OVER = ['factory-cursor', 'factory-follow'];

/** Fails where there is no answer or not this page; the caller tries again. */
export async function refresh() {
  const response = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-store' });
  if (response.redirected && new URL(response.url).pathname === '/login') {
    location.reload();
    throw new Error('signed out');
  }
  if (!response.ok) throw new Error(`answered ${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  if (metaOf(page, 'factory-version') !== metaOf(document, 'factory-version') && !isTyping()) {
    // Another release: its pages may need its own scripts.
    location.reload();
    return;
  }
  takeOver(page);
}

/** @param {Document} page */
function takeOver(page) {
  document.title = page.title;
  for (const name of TAKEN_OVER) {
    document.querySelector(`meta[name="${name}"]`)?.setAttribute('content', metaOf(page, name) ?? '');
  }
  for (const old of document.querySelectorAll('[data-live][id]')) {
    const now = page.getElementById(old.id);
    if (now) morph(old, document.importNode(now, true));
  }
  showTimes();
  document.dispatchEvent(new CustomEvent('factory:refreshed'));
}

/** @param {Document} page @param {string} name */
const metaOf = (page, name) => page.querySelector(`meta[name="${name}"]`)?.getAttribute('content') ?? null;

const isTyping = () => document.activeElement?.matches('input, textarea, select') ?? false;
