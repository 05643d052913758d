/**
 * A program on a terminal: script(1) makes one, shows it to us, and hands it what we type. So Ctrl-C is the character that a
 * person types, and who gets which signal is the kernel's business, as it is for a person.
 */
import { spawn } from 'node:child_process';
import { quoteCommand } from '../../src/process/quote.ts';

const ESCAPE = '\u001b';
const CTRL_C = '\u0003';
const ESCAPE_SEQUENCE = new RegExp(`${ESCAPE}\\[[0-9;]*[A-Za-z]`, 'g');

export interface TerminalOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export class Terminal {
  /** Everything that was shown, escapes included. */
  shown = '';
  readonly ended: Promise<number>;
  readonly #child: ReturnType<typeof spawn>;

  constructor(argv: readonly [string, ...string[]], { cwd, env }: TerminalOptions) {
    const script = ['--quiet', '--return', '--command', quoteCommand(argv), '/dev/null'];
    // An empty NO_COLOR counts as none.
    const environment = { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env };
    this.#child = spawn('script', script, { cwd, env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.shown += text;
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (status) => {
        resolve(status ?? -1);
      });
    });
  }

  pressCtrlC(): void {
    this.#child.stdin?.write(CTRL_C);
  }

  /** Lines as they stand at the end, without escapes: what was drawn over is gone. */
  lines(): readonly string[] {
    return this.shown
      .split('\r\n')
      .map((line) => (line.split('\r').at(-1) ?? '').replaceAll(ESCAPE_SEQUENCE, ''))
      .filter((line) => line !== '');
  }
}
