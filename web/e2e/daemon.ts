/**
 * A daemon for the browser's tests: the built binary in a home of its own, started again at will.
 *
 * `TRUNKLINE_BINARY` names another binary than `target/debug/trunkline`.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

export const BINARY = resolve(process.env.TRUNKLINE_BINARY ?? join(import.meta.dirname, '../../target/debug/trunkline'));

export class Daemon {
  readonly dir = mkdtempSync(join(tmpdir(), 'tl-page-'));
  readonly work = join(this.dir, 'work');
  #env: Record<string, string | undefined> & { TRUNKLINE_HOME: string } = { PATH: process.env.PATH, HOME: this.dir, TRUNKLINE_HOME: join(this.dir, 'home'), TRUNKLINE_LISTEN: '127.0.0.1:0', TRUNKLINE_NOTIFY: 'off', NO_COLOR: '1' };
  #child: ChildProcess | undefined;

  private constructor(more: Record<string, string>) {
    Object.assign(this.#env, more);
    mkdirSync(this.work);
  }

  /** With more in its environment or in its configuration, if something is to be as it is not by default. */
  static async start(more: Record<string, string> = {}, config = ''): Promise<Daemon> {
    const daemon = new Daemon(more);
    daemon.configure(config);
    await daemon.run();
    return daemon;
  }

  /** What the next life of it reads. */
  configure(config: string): void {
    mkdirSync(this.#env.TRUNKLINE_HOME, { recursive: true, mode: 0o700 });
    writeFileSync(join(this.#env.TRUNKLINE_HOME, 'config.toml'), config);
  }

  /** What it tells of where it is. */
  runtime(): { port: number; base_url: string; attach?: string } {
    return JSON.parse(readFileSync(join(this.#env.TRUNKLINE_HOME, 'runtime.json'), 'utf8'));
  }

  /** Starts it, on the port of its earlier life if it had one: a page that waits for it must find it again. */
  async run(): Promise<void> {
    const child = spawn(BINARY, ['serve'], { env: this.#env, stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    const said: string[] = [];
    const ready = new Promise<void>((done, failed) => {
      createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
        said.push(line);
        if (line.includes('ready')) done();
      });
      child.on('exit', (code) => failed(new Error(`the daemon ended with ${code}: ${said.join('\n')}`)));
    });
    await ready;
    this.#env.TRUNKLINE_LISTEN = `127.0.0.1:${this.runtime().port}`;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    child.removeAllListeners('exit');
    const gone = new Promise((done) => child.on('exit', done));
    child.kill(signal);
    await gone;
  }

  /** What a command prints. */
  command(...args: string[]): string {
    return execFileSync(BINARY, args, { env: this.#env, cwd: this.work, encoding: 'utf8' }).trim();
  }

  link(): string {
    return this.command('open', '--url');
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
