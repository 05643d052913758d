/** Cuts a stream of text chunks into lines, without their newline; `end` hands over an unfinished last line. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      this.#onLine(line);
    }
  }

  end(): void {
    if (this.#rest !== '') {
      this.#onLine(this.#rest);
      this.#rest = '';
    }
  }
}
