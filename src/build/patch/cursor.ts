import { FormatError } from '../../diagnostics/error.ts';

/** Walks over the lines of a patch and knows where it is, so that every error names file and line. */
export class PatchCursor {
  readonly name: string;
  readonly lines: readonly string[];
  /** Index of the next line, from 0. */
  at = 0;

  constructor(name: string, lines: readonly string[]) {
    this.name = name;
    this.lines = lines;
  }

  /** The line `ahead` of the next one; undefined after the last. */
  peek(ahead = 0): string | undefined {
    return this.lines[this.at + ahead];
  }

  /** Number of the next line, from 1. */
  get line(): number {
    return this.at + 1;
  }

  /** Error at `line` (default: the next one). */
  error(message: string, line = this.line, hint?: string): FormatError {
    return new FormatError('malformed_patch', `${this.name}:${line}: ${message}`, {
      ...(hint === undefined ? {} : { hint }),
      details: { patch: this.name, line },
    });
  }
}
