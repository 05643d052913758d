import type { OnProgress } from '../process/on-progress.ts';

/** What every operation on Debian's packages takes. */
export interface DebianOptions {
  /** Absolute path; see cache-dir.ts. Everything of this room lies in `debian/` below it. */
  readonly cacheDir: string;
  /** Called with one line for each thing that takes time, when it begins. */
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}
