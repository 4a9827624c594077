import './app.css';
import { mount } from 'svelte';
import App from './ui/App.svelte';

// Where it may: over HTTPS, and on the machine itself. Without it the page works as well, but not without the daemon.
if (import.meta.env.PROD && 'serviceWorker' in navigator) navigator.serviceWorker.register('/sw.js').catch(() => undefined);

const target = document.getElementById('app') as HTMLElement;

function start() {
  target.replaceChildren();
  mount(App, { target });
}

// What the document itself shows is painted before the page is made, which takes several frames. Nobody waits for a page that is
// not looked at, and it is given no frame either.
if (document.hidden) start();
else requestAnimationFrame(() => setTimeout(start));
