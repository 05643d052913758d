import type { ProgressTarget } from '../report/progress.ts';

/**
 * What the command line has of the process that it runs in: read once in main.ts, handed down from there.
 * Tests hand over their own.
 */
export interface Host {
  readonly stdout: (text: string) => void;
  readonly stderr: ProgressTarget;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** The file of the program that was started, links followed. */
  readonly program: string;
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal;
}
