import './app.css';
import { mount } from 'svelte';
import App from './ui/App.svelte';

// Where it may: over HTTPS, and on the machine itself. Without it the page works as well, but not without the daemon.
if (import.meta.env.PROD && 'serviceWorker' in navigator) navigator.serviceWorker.register('/sw.js').catch(() => undefined);

mount(App, { target: document.getElementById('app') as HTMLElement });
