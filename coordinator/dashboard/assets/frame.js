// What every page loads. Pages are whole without it.
import { startForms } from './forms.js';
import { startKeys } from './keys.js';
import { startLive } from './live.js';
import { startTheme } from './theme.js';
import { startTimes } from './time.js';

startTheme();
startTimes();
startForms();
startKeys();
startLive();
