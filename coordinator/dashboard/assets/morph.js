// Makes one element like another by changing only what differs, so that focus, selection, scroll positions,
// opened details and what someone has typed stay as they are. Children with an id are the same by that id.

/** What people change, and the page does not take back. */
const THEIRS = new Map([['DETAILS', 'open'], ['DIALOG', 'open'], ['INPUT', 'value'], ['OPTION', 'selected']]);

/** @param {Node} old @param {Node} now - is used up */
export function morph(old, now) {
  if (old.isEqualNode(now)) return;
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName) {
    old.parentNode?.replaceChild(now, old);
    return;
  }
  if (!(old instanceof Element) || !(now instanceof Element)) {
    old.nodeValue = now.nodeValue;
    return;
  }
  // An element may ask to be left alone: a script of the page owns what is in it.
  if (old.hasAttribute('data-keep')) return;
  attributes(old, now);
  if (old.nodeName === 'TEXTAREA') return;
  children(old, now);
}

/** @param {Element} old @param {Element} now */
function attributes(old, now) {
  const theirs = THEIRS.get(old.nodeName);
  for (const { name, value } of [...now.attributes]) {
    if (name !== theirs && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    if (name !== theirs && name !== 'data-chosen' && !now.hasAttribute(name)) old.removeAttribute(name);
  }
}

/** @param {Element} old @param {Element} now */
function children(old, now) {
  const byId = new Map();
  for (const child of old.children) if (child.id) byId.set(child.id, child);
  const kept = new Set([...now.children].map((child) => child.id).filter((id) => byId.has(id)));
  let place = old.firstChild;
  for (const child of [...now.childNodes]) {
    // What has an id that is still wanted waits for its own turn.
    while (place && idOf(place) && !kept.has(idOf(place))) place = removed(old, place);
    const same = byId.get(idOf(child));
    if (same) {
      if (same === place) place = place.nextSibling;
      else old.insertBefore(same, place);
      morph(same, child);
    } else if (place && !idOf(place) && place.nodeName === child.nodeName && !idOf(child)) {
      const next = place.nextSibling;
      morph(place, child);
      place = next;
    } else {
      old.insertBefore(child, place);
    }
  }
  while (place) place = removed(old, place);
}

/** @param {Node} node @returns {string} */
const idOf = (node) => (node instanceof Element ? node.id : '');

/** @param {Element} parent @param {ChildNode} child @returns {ChildNode | null} what comes after it */
function removed(parent, child) {
  const next = child.nextSibling;
  parent.removeChild(child);
  return next;
}
