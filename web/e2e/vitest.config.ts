import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  test: { include: ['e2e/*.e2e.ts'], testTimeout: 30_000, hookTimeout: 30_000, fileParallelism: false },
});
