/**
 * What the demo prints, and what it remembers for the summary: steps with their times, the commands as
 * a person would type them, and the checks that decide the exit status.
 */
import { styleText } from 'node:util';

export interface StoryStep {
  readonly title: string;
  readonly ms: number;
}

/** A check did not hold: the demo ends with status 1. */
export class StoryFailure extends Error {
  override readonly name = 'StoryFailure';
}

export class Story {
  readonly steps: StoryStep[] = [];
  readonly #colour = process.stdout.isTTY;

  #paint(style: 'bold' | 'green' | 'dim', text: string): string {
    return this.#colour ? styleText(style, text) : text;
  }

  line(text = ''): void {
    process.stdout.write(`${text}\n`);
  }

  /** A chapter; what it takes goes into the summary. */
  async step<T>(title: string, body: () => Promise<T>): Promise<T> {
    this.line();
    this.line(this.#paint('bold', `== ${title}`));
    const start = performance.now();
    const result = await body();
    this.steps.push({ title, ms: performance.now() - start });
    return result;
  }

  command(where: 'host' | 'guest', text: string): void {
    this.line(this.#paint('dim', `${where}${where === 'host' ? '$' : '#'} ${text}`));
  }

  output(text: string): void {
    for (const line of text.trimEnd().split('\n')) this.line(`  ${line}`);
  }

  check(holds: boolean, what: string, found: string): void {
    if (!holds) throw new StoryFailure(`${what}: found ${found}`);
    this.line(this.#paint('green', `  ok: ${what}`));
  }
}
