// What the original client expects of the page around it, set up before its script runs.
'use strict';

// Where it talks to: the origin that it comes from, unless somebody has said something else.
const saved = localStorage.getItem('kollabor_config');
if (!saved) {
  const config = { engineUrl: location.origin, profile: 'default', approvalMode: 'confirm_all', workspace: '' };
  localStorage.setItem('kollabor_config', JSON.stringify(config));
}

// The client names a panel that it has just made by a variable that it does not have. The newest one is meant.
Object.defineProperty(window, 'panel', {
  get: () => document.querySelector('.session-panel:last-of-type') ?? document.getElementById('panel'),
});

// A script that is not there cannot tell so itself.
window.addEventListener('error', (event) => {
  if (event.target instanceof HTMLScriptElement) document.getElementById('missing')?.removeAttribute('hidden');
}, true);
