import type { ErrorCode } from '../diagnostics/codes.ts';
import { KspliceError } from '../diagnostics/error.ts';

/** How a command ended that did not end well. */
export interface CommandFailure {
  readonly argv: readonly string[];
  /** What went wrong, without the command's name: `exit status 2`, `timed out after 30 s`. */
  readonly reason: string;
  /**
   * `missing_tool`: it could not be started; `interrupted`: we were asked to stop;
   * `command_failed`: everything else.
   */
  readonly code: Extract<ErrorCode, 'missing_tool' | 'interrupted' | 'command_failed'>;
  readonly status?: number | undefined;
  readonly signal?: string | undefined;
  readonly stderr?: string | undefined;
  readonly logFile?: string | undefined;
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** Enough to see the failing line and what led to it, short enough to print. */
const TAIL_LINES = 20;

const EXIT_CODES = { missing_tool: 69, interrupted: 5, command_failed: 70 } as const;

/**
 * A subprocess that could not be started, failed, was killed or took too long.
 *
 * `exitCode` is, as in every error of this program, the status that *we* exit with: 69 for a tool that is
 * not there, 5 when interrupted (try again), 70 otherwise. The status of the command is `status`.
 * A caller to whom a failure means something (a compile error, a patch that does not apply) catches this
 * and throws its own.
 */
export class CommandError extends KspliceError {
  readonly exitCode: number;
  readonly argv: readonly string[];
  /** Exit status of the command; undefined if it was killed or never started. */
  readonly status: number | undefined;
  /** The signal that ended it, such as `SIGKILL`. */
  readonly signal: string | undefined;
  /** All of its standard error, and the last 20 lines of it. */
  readonly stderr: string;
  readonly stderrTail: readonly string[];
  readonly logFile: string | undefined;

  constructor(failure: CommandFailure) {
    const tail = lastLines(failure.stderr ?? '');
    const lastWords = tail.findLast((line) => line.trim() !== '');
    const name = failure.argv[0] ?? 'empty command';
    const hint =
      failure.hint ??
      (failure.logFile === undefined ? undefined : `the whole output is in ${failure.logFile}`);
    super(
      failure.code,
      `${name}: ${failure.reason}${lastWords === undefined ? '' : `: ${lastWords.trim()}`}`,
      {
        ...(hint === undefined ? {} : { hint }),
        details: {
          argv: failure.argv,
          ...(failure.status === undefined ? {} : { status: failure.status }),
          ...(failure.signal === undefined ? {} : { signal: failure.signal }),
          ...(tail.length === 0 ? {} : { stderr: tail }),
          ...(failure.logFile === undefined ? {} : { logFile: failure.logFile }),
        },
        cause: failure.cause,
      },
    );
    this.exitCode = EXIT_CODES[failure.code];
    this.argv = failure.argv;
    this.status = failure.status;
    this.signal = failure.signal;
    this.stderr = failure.stderr ?? '';
    this.stderrTail = tail;
    this.logFile = failure.logFile;
  }
}

function lastLines(text: string): readonly string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') {
    lines.pop();
  }
  return lines.slice(-TAIL_LINES);
}
