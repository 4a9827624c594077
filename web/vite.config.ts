import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const daemon = process.env.TRUNKLINE_URL ?? 'http://127.0.0.1:7433';

/** Tells the service worker which files there are. */
function filesForWorker(): Plugin {
  return {
    name: 'files-for-worker',
    apply: 'build',
    generateBundle(_, bundle) {
      const worker = bundle['sw.js'];
      if (worker?.type !== 'chunk') throw new Error('the service worker was not built');
      const assets = Object.keys(bundle).filter((name) => name.startsWith('assets/')).map((name) => `/${name}`).sort();
      const files = readdirSync('public').map((name) => `/${name}`).sort();
      const hash = createHash('sha256').update(worker.code).update(assets.join());
      for (const name of readdirSync('public').sort()) hash.update(readFileSync(`public/${name}`));
      hash.update(readFileSync('index.html'));
      const told = JSON.stringify({ assets, files, version: hash.digest('hex').slice(0, 12) });
      worker.code = worker.code.replace('__FILES__', () => told);
    },
  };
}

export default defineConfig({
  plugins: [svelte(), filesForWorker()],
  build: {
    target: 'es2023',
    // The daemon's content policy allows no data: URLs and no inline script, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: { index: 'index.html', sw: 'src/worker/sw.ts' },
      output: { entryFileNames: (chunk) => (chunk.name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
  server: {
    // The daemon refuses a foreign Host or Origin; `npm run dev` speaks for its own page.
    proxy: { '/v1': { target: daemon, changeOrigin: true, headers: { origin: daemon } } },
  },
  test: { include: ['src/**/*.test.ts'] },
});
