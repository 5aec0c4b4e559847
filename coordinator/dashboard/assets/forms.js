// Forms: what cannot be taken back is asked about first (`data-confirm="Cancel task 7?"`), and nothing is sent
// twice by a second click.

/** @param {string} question @param {string} verb @returns {Promise<boolean>} */
function confirmed(question, verb) {
  const dialog = document.createElement('dialog');
  const text = document.createElement('p');
  text.textContent = question;
  const form = document.createElement('form');
  form.method = 'dialog';
  form.className = 'actions';
  for (const [label, value, kind] of [['No', '', ''], [verb, 'yes', 'danger']]) {
    const button = document.createElement('button');
    button.textContent = label;
    button.value = value;
    button.className = kind;
    form.append(button);
  }
  dialog.append(text, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(dialog.returnValue === 'yes');
    });
  });
}

/** @param {SubmitEvent} event */
async function submitted(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.method !== 'post' || event.defaultPrevented) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.dataset.confirm && !form.dataset.confirmed) {
    event.preventDefault();
    const button = event.submitter;
    if (await confirmed(form.dataset.confirm, button?.textContent?.trim() || 'Yes')) {
      form.dataset.confirmed = 'yes';
      form.requestSubmit(button);
    }
    return;
  }
  form.dataset.sent = 'yes';
}

export function startForms() {
  document.addEventListener('submit', submitted);
  // Back from another page, forms can be sent again.
  addEventListener('pageshow', () => {
    for (const form of document.forms) {
      delete form.dataset.sent;
      delete form.dataset.confirmed;
    }
  });
}
