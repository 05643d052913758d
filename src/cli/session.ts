import { createProgress, type Progress } from '../report/progress.ts';
import type { Host } from './host.ts';

/** Flags that every command has, or may have. (Flags are type aliases: only these satisfy an index signature.) */
export type CommonFlags = {
  readonly json?: boolean | undefined;
  readonly verbose?: boolean | undefined;
};

/** One run of one command: where it reports to, and what it was told about that. */
export interface Session {
  readonly host: Host;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Standard output is for a program. */
  readonly json: boolean;
  readonly verbose: boolean;
  /** Prints the result, once: the object under --json, else the text. */
  readonly result: (json: unknown, text: string) => void;
  /** A line that a person should read although nothing went wrong, on standard error. */
  readonly note: (text: string) => void;
}

export function createSession(host: Host, flags: CommonFlags): Session {
  const json = flags.json ?? false;
  const progress = createProgress(host.stderr);
  return {
    host,
    progress,
    signal: host.signal,
    json,
    verbose: flags.verbose ?? false,
    result: (object, text) => {
      progress.done();
      host.stdout(json ? `${JSON.stringify(object, null, 2)}\n` : text);
    },
    note: (text) => {
      progress.print(`note: ${text}`);
    },
  };
}
