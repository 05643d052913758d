/**
 * A kernel's source tree with edits on top: the tree itself is never written to.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '../diagnostics/error.ts';
import type { SourceText } from './edit-text.ts';

export class EditedTree {
  readonly #source: string;
  readonly #edited = new Map<string, string>();

  constructor(source: string) {
    this.#source = source;
  }

  /** A file's text with the edits so far; undefined if there is no such file. */
  textOf(file: string): string | undefined {
    return this.#edited.get(file) ?? this.originalOf(file);
  }

  /** A file's text as it is in the source; undefined if there is no such file. */
  originalOf(file: string): string | undefined {
    try {
      return readFileSync(path.join(this.#source, file), 'utf8');
    } catch {
      return undefined;
    }
  }

  /** Throws UsageError for a file that every kernel of interest has. */
  edit(file: string, change: (source: SourceText) => string): void {
    const text = this.textOf(file);
    if (text === undefined) {
      throw new UsageError('usage', `${path.join(this.#source, file)}: not there`, {
        hint: '--source takes the source tree of a kernel',
      });
    }
    this.#edited.set(file, change({ path: file, text }));
  }

  /** Throws UsageError if the source has such a file: it carries the core already. */
  add(file: string, text: string): void {
    if (this.originalOf(file) !== undefined) {
      throw new UsageError('usage', `${path.join(this.#source, file)}: there already`, {
        hint: 'give --source a tree without the series',
      });
    }
    this.#edited.set(file, text);
  }

  /** Every file that was edited or added, sorted, with its new text. */
  changed(): readonly SourceText[] {
    return [...this.#edited]
      .map(([file, text]) => ({ path: file, text }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}
