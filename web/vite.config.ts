import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const daemon = process.env.TRUNKLINE_URL ?? 'http://127.0.0.1:7433';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2023',
    // The daemon's content policy allows no data: URLs and no inline script, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    // The daemon refuses a foreign Host or Origin; `npm run dev` speaks for its own page.
    proxy: { '/v1': { target: daemon, changeOrigin: true, headers: { origin: daemon } } },
  },
  test: { include: ['src/**/*.test.ts'] },
});
