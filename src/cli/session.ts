import type { OnProgress } from '../process/on-progress.ts';
import { createProgress, type Progress, quietProgress } from '../report/progress.ts';
import type { Host } from './host.ts';

/** Flags that every command has, or may have. (Flags are type aliases: only these satisfy an index signature.) */
export type CommonFlags = {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly verbose?: boolean | undefined;
};

/** One run of one command: where it reports to, and what it was told about that. */
export interface Session {
  readonly host: Host;
  readonly progress: Progress;
  /** Where long work of earlier rooms reports to. */
  readonly onProgress: OnProgress;
  readonly signal: AbortSignal;
  /** Standard output is for a program. */
  readonly json: boolean;
  readonly verbose: boolean;
  /** Prints the result, once: the object under --json, else the text. */
  readonly result: (json: unknown, text: string) => void;
  /** As `result`, where the text only confirms what was done: under --quiet it is left out. */
  readonly done: (json: unknown, text: string) => void;
  /** The exit status of a command that ends well, where 0 would not say it. */
  readonly endWith: (status: number) => void;
  /** A line that a person should read although nothing went wrong, on standard error. */
  readonly note: (text: string) => void;
}

export function createSession(host: Host, flags: CommonFlags, endWith: (status: number) => void): Session {
  const json = flags.json ?? false;
  const quiet = flags.quiet ?? false;
  const progress = quiet ? quietProgress(host.stderr) : createProgress(host.stderr);
  const result = (object: unknown, text: string): void => {
    progress.done();
    host.stdout(json ? `${JSON.stringify(object, null, 2)}\n` : text);
  };
  return {
    host,
    progress,
    onProgress: (message, kind = 'step') => {
      progress[kind](message);
    },
    signal: host.signal,
    json,
    verbose: flags.verbose ?? false,
    result,
    done: (object, text) => {
      result(object, quiet ? '' : text);
    },
    endWith,
    note: (text) => {
      progress.print(`note: ${text}`);
    },
  };
}
