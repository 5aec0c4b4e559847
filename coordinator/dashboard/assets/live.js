// Keeps the page up to date.
