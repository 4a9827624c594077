import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: `${import.meta.dirname}/..`,
  test: { globalSetup: 'e2e/setup.ts', include: [`e2e/${process.env.E2E ?? '*.e2e'}.ts`], testTimeout: 30_000, hookTimeout: 30_000, maxWorkers: 2 },
});
