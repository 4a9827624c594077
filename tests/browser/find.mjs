/**
 * Prints the path of a Chromium for the browser's tests: the one that `CHROMIUM` names, else one that is installed, else
 * the one of the npm registry, which is fetched into the folder of builds.
 */

import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const BUILT = join(HERE, '../../target/browser');
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

console.log(named() ?? installed() ?? (await fetched()));

function named() {
  return process.env.CHROMIUM || undefined;
}

function installed() {
  const paths = (process.env.PATH ?? '').split(delimiter).flatMap((dir) => NAMES.map((name) => join(dir, name)));
  return paths.find(isProgram);
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Chromium as the npm registry has it, with the libraries that a machine without a desktop may lack. */
async function fetched() {
  const starter = join(BUILT, 'chromium');
  if (existsSync(starter)) return starter;
  const npm = ['ci', '--prefix', HERE, '--silent'];
  execFileSync(process.env.NPM || 'npm', npm, { stdio: ['ignore', 'ignore', 'inherit'] });
  mkdirSync(BUILT, { recursive: true });
  // The package unpacks into the folder for temporary files, and the libraries only for the machines it was made for.
  process.env.TMPDIR = BUILT;
  process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs22.x';
  const { default: chromium } = await import('@sparticuz/chromium');
  const program = await chromium.executablePath();
  const script = `#!/bin/sh\nexport LD_LIBRARY_PATH="${join(BUILT, 'al2023/lib')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\nexec "${program}.bin" "$@"\n`;
  execFileSync('mv', [program, `${program}.bin`]);
  writeFileSync(starter, script, { mode: 0o755 });
  return starter;
}
