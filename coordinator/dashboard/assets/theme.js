// Light and dark without loading the page again. The choice is a cookie, so that the coordinator sends the next
// page in the right colours from the start; without scripts the form does the same.

export function startTheme() {
  const form = document.getElementById('theme');
  if (!(form instanceof HTMLFormElement)) return;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const root = document.documentElement;
    const dark = matchMedia('(prefers-color-scheme: dark)').matches;
    const shown = root.dataset.theme ?? (dark ? 'dark' : 'light');
    const theme = shown === 'dark' ? 'light' : 'dark';
    root.dataset.theme = theme;
    document.cookie = `factory_theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  });
}
