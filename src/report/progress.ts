/**
 * Says on standard error what is being done, for everything that may take over a second.
 *
 * On a terminal the step that runs is one line that is drawn again every tenth of a second, with the time
 * that it has taken and the last line that its program printed; when it ends the line stays. Elsewhere (a
 * log, a pipe) each step is one plain line when it begins, headed by the time since the start, without an
 * escape or a carriage return in it.
 *
 * Drawing goes by a timer that does not keep the process alive. Whatever else is to be printed while a
 * step runs goes through `print`, so that it does not end up in the middle of the live line.
 */
import { styleText } from 'node:util';
import { formatDuration } from './format.ts';

export interface ProgressTarget {
  readonly write: (text: string) => void;
  /** May lines be drawn over? */
  readonly isTerminal: boolean;
  readonly colors: boolean;
  /** Columns of the terminal. */
  readonly columns: () => number;
  /** Milliseconds on a clock that only goes forward. */
  readonly now: () => number;
}

export interface Progress {
  /** A new step begins, and the one before it is done. */
  step(text: string): void;
  /** How far the step is: a line of its own, but behind the step on a terminal. */
  part(text: string): void;
  /** What the step is at: shown on a terminal only. */
  detail(text: string): void;
  /** A line of its own that stays, in any case. */
  print(line: string): void;
  /** The last step is done. */
  done(): void;
  /** The last step did not get done. */
  fail(): void;
}

const FRAMES = ['|', '/', '-', '\\'];
const INTERVAL_MS = 100;
const ERASE_LINE = '\r\u001b[2K';

export function createProgress(target: ProgressTarget): Progress {
  return target.isTerminal ? new LiveProgress(target) : new PlainProgress(target);
}

/** Steps are not told; what is printed is. */
export function quietProgress(target: ProgressTarget): Progress {
  return {
    ...silentProgress,
    print: (line) => {
      target.write(`${line}\n`);
    },
  };
}

/** Says nothing: for a caller that is not interested. */
export const silentProgress: Progress = {
  step: () => undefined,
  part: () => undefined,
  detail: () => undefined,
  print: () => undefined,
  done: () => undefined,
  fail: () => undefined,
};

class PlainProgress implements Progress {
  readonly #target: ProgressTarget;
  readonly #start: number;

  constructor(target: ProgressTarget) {
    this.#target = target;
    this.#start = target.now();
  }

  step(text: string): void {
    const seconds = ((this.#target.now() - this.#start) / 1000).toFixed(1);
    this.#target.write(`[${seconds.padStart(6)} s] ${plain(text)}\n`);
  }

  part(text: string): void {
    this.step(text);
  }

  detail(): void {
    // Every line of a compiler's output in a log is noise.
  }

  print(line: string): void {
    this.#target.write(`${line}\n`);
  }

  done(): void {
    // The result that follows says it.
  }

  fail(): void {
    // The error that follows says it.
  }
}

class LiveProgress implements Progress {
  readonly #target: ProgressTarget;
  #current: { readonly text: string; readonly start: number; detail: string } | undefined;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(target: ProgressTarget) {
    this.#target = target;
  }

  #paint(style: 'dim' | 'green' | 'red', text: string): string {
    // Whether there are colours is decided once, by the command line: not by styleText, for each stream.
    return this.#target.colors ? styleText(style, text, { validateStream: false }) : text;
  }

  step(text: string): void {
    this.#end(this.#paint('green', 'done'));
    this.#current = { text: plain(text), start: this.#target.now(), detail: '' };
    this.#timer ??= setInterval(() => {
      this.#frame += 1;
      this.#draw();
    }, INTERVAL_MS).unref();
    this.#draw();
  }

  part(text: string): void {
    if (this.#current === undefined) this.step(text);
    else this.detail(text);
  }

  detail(text: string): void {
    if (this.#current !== undefined) {
      this.#current.detail = plain(text);
    }
  }

  print(line: string): void {
    this.#target.write(`${this.#current === undefined ? '' : ERASE_LINE}${line}\n`);
    this.#draw();
  }

  done(): void {
    this.#end(this.#paint('green', 'done'));
  }

  fail(): void {
    this.#end(this.#paint('red', 'not done'));
  }

  #end(outcome: string): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#current !== undefined) {
      const { text, start } = this.#current;
      const elapsed = this.#paint('dim', formatDuration(this.#target.now() - start));
      this.#current = undefined;
      this.#target.write(`${ERASE_LINE}${text} ... ${outcome} ${elapsed}\n`);
    }
  }

  #draw(): void {
    if (this.#current === undefined) {
      return;
    }
    const { text, start, detail } = this.#current;
    const elapsed = formatDuration(this.#target.now() - start);
    const head = `${FRAMES[this.#frame % FRAMES.length] ?? ''} ${text} (${elapsed})`;
    // A line as wide as the terminal would wrap, and could not be drawn over.
    const room = Math.max(0, this.#target.columns() - 1);
    const shown = head.slice(0, room);
    const rest = detail === '' ? '' : `  ${detail}`.slice(0, Math.max(0, room - shown.length));
    this.#target.write(`${ERASE_LINE}${shown}${this.#paint('dim', rest)}`);
  }
}

/** One line, nothing that moves the cursor: a file name or a compiler's output may hold anything. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ');
}
