/**
 * Running other programs.
 *
 * The one place where this program starts a subprocess. Commands are argument vectors, never shell text;
 * messages are in English whatever the user's locale (`LC_ALL=C`), so that what is parsed stays parseable;
 * each command leads its own process group and is ended as a group (process-group.ts says why); and its
 * output can be kept in a log file whose first line can be pasted into a shell to do it again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, type WriteStream } from 'node:fs';
import path from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CommandError, type CommandFailure } from './command-error.ts';
import { LineSplitter } from './line-splitter.ts';
import { endGroup, guardGroup } from './process-group.ts';
import { quoteCommand } from './quote.ts';

export type OutputStream = 'stdout' | 'stderr';

export interface RunOptions {
  readonly cwd?: string;
  /** Added to the environment of this process and to `LC_ALL=C`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is empty otherwise. */
  readonly input?: string | Uint8Array | Readable;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Command line and all output are appended here; directories are made. */
  readonly logFile?: string;
  /** Called for each line of output, without its newline. */
  readonly onLine?: (line: string, stream: OutputStream) => void;
  /** Called with the command, ready to paste, before it starts. */
  readonly onCommand?: (line: string) => void;
  /** Exit statuses that are no error; only 0 by default. */
  readonly okExitCodes?: readonly number[];
  /** Takes standard output as bytes, and is ended with it; then `stdout` stays empty, nor is it logged. */
  readonly stdoutTo?: Writable;
}

export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How long the pipes may stay open after the group was killed: a process that left the group may hold them. */
const DRAIN_MS = 1000;

/**
 * Runs a command to its end and returns what it printed.
 * Throws CommandError: `missing_tool` if it cannot be started, `interrupted` on abort, `command_failed` for
 * an exit status outside `okExitCodes`, a signal or a timeout. By then the command's whole group is gone.
 */
export async function run(
  argv: readonly [string, ...string[]],
  options: RunOptions = {},
): Promise<RunResult> {
  const line = quoteCommand(argv, options);
  options.onCommand?.(line);
  if (options.signal?.aborted === true) {
    throw new CommandError({ argv, code: 'interrupted', reason: 'interrupted before it started' });
  }
  const log = options.logFile === undefined ? undefined : openLog(options.logFile, line);
  try {
    return await runLogged(argv, options, log);
  } finally {
    await log?.close();
  }
}

async function runLogged(
  argv: readonly [string, ...string[]],
  options: RunOptions,
  log: Log | undefined,
): Promise<RunResult> {
  const child = await start(argv, options);
  const leader = child.pid;
  if (leader === undefined) {
    throw new CommandError({ argv, code: 'command_failed', reason: 'started without a process id' });
  }
  const unguard = guardGroup(leader);
  const ending = new Ending(child, leader);
  const stop = (reason: StopReason): void => {
    ending.stop(reason);
  };
  const onAbort = (): void => {
    stop({ code: 'interrupted', reason: 'interrupted' });
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) {
    onAbort();
  }
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(stop, options.timeoutMs, {
          code: 'command_failed',
          reason: `timed out after ${options.timeoutMs / 1000} s`,
        });
  try {
    const output = collectOutput(child, options, log, stop);
    feed(child, options.input);
    const { status, signal } = await ending.closed;
    await ending.stopped();
    const stderr = output.stderr();
    const failure: Omit<CommandFailure, 'code' | 'reason'> = {
      argv,
      status: status ?? undefined,
      signal: signal ?? undefined,
      stderr,
      logFile: options.logFile,
    };
    if (ending.reason !== undefined) {
      if (ending.reason.thrown !== undefined) {
        throw ending.reason.thrown;
      }
      throw new CommandError({ ...failure, ...ending.reason });
    }
    if (status === null) {
      throw new CommandError({ ...failure, code: 'command_failed', reason: `killed by ${String(signal)}` });
    }
    if (!(options.okExitCodes ?? [0]).includes(status)) {
      throw new CommandError({ ...failure, code: 'command_failed', reason: `exit status ${status}` });
    }
    return { exitCode: status, stdout: output.stdout(), stderr };
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
    unguard();
  }
}

async function start(argv: readonly [string, ...string[]], options: RunOptions): Promise<ChildProcess> {
  const [file, ...args] = argv;
  const child = spawn(file, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C', ...options.env },
    detached: true,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      reject(startFailure(argv, options.cwd, cause));
    });
  });
  return child;
}

function startFailure(
  argv: readonly [string, ...string[]],
  cwd: string | undefined,
  cause: Error,
): CommandError {
  // spawn() reports ENOENT for a missing directory too, and blames the program.
  if (cwd !== undefined && !existsSync(cwd)) {
    return new CommandError({
      argv,
      code: 'command_failed',
      reason: `no directory ${cwd} to run it in`,
      cause,
    });
  }
  const code = 'code' in cause ? cause.code : undefined;
  if (code === 'ENOENT' || code === 'EACCES') {
    const reason = code === 'ENOENT' ? 'no such program' : 'not an executable program';
    const hint = argv[0].includes('/') ? undefined : `install the package that provides ${argv[0]}`;
    return new CommandError({ argv, code: 'missing_tool', reason, hint, cause });
  }
  return new CommandError({ argv, code: 'command_failed', reason: cause.message, cause });
}

interface StopReason {
  readonly code: 'interrupted' | 'command_failed';
  readonly reason: string;
  /** Thrown in place of a CommandError: the caller's own listener failed. */
  readonly thrown?: unknown;
}

/** The end of one command: its own, or the one that we bring about. The first reason to stop it counts. */
class Ending {
  readonly closed: Promise<{ readonly status: number | null; readonly signal: NodeJS.Signals | null }>;
  reason: StopReason | undefined;
  readonly #child: ChildProcess;
  readonly #leader: number;
  #stopping: Promise<void> | undefined;

  constructor(child: ChildProcess, leader: number) {
    this.#child = child;
    this.#leader = leader;
    this.closed = new Promise((resolve) => {
      child.once('close', (status, signal) => {
        resolve({ status, signal });
      });
    });
  }

  stop(reason: StopReason): void {
    if (this.reason === undefined) {
      this.reason = reason;
      this.#stopping = this.#end();
    }
  }

  /** Resolves when nothing of a stopped command is left. */
  async stopped(): Promise<void> {
    await this.#stopping;
  }

  async #end(): Promise<void> {
    await endGroup(this.#leader, this.closed);
    const timer = setTimeout(() => {
      this.#child.stdout?.destroy();
      this.#child.stderr?.destroy();
    }, DRAIN_MS);
    await this.closed;
    clearTimeout(timer);
  }
}

function collectOutput(
  child: ChildProcess,
  options: RunOptions,
  log: Log | undefined,
  stop: (reason: StopReason) => void,
): { readonly stdout: () => string; readonly stderr: () => string } {
  const guarded = (action: () => void): void => {
    try {
      action();
    } catch (thrown) {
      stop({ code: 'command_failed', reason: 'output listener failed', thrown });
    }
  };
  const collect = (stream: Readable | null, name: OutputStream): (() => string) => {
    const chunks: string[] = [];
    const lines = new LineSplitter((line) => {
      options.onLine?.(line, name);
    });
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      chunks.push(chunk);
      log?.write(chunk);
      guarded(() => {
        lines.push(chunk);
      });
    });
    stream?.once('end', () => {
      guarded(() => {
        lines.end();
      });
    });
    return () => chunks.join('');
  };
  const { stdout } = child;
  const { stdoutTo } = options;
  if (stdout !== null && stdoutTo !== undefined) {
    pipeline(stdout, stdoutTo).catch((thrown: unknown) => {
      stop({ code: 'command_failed', reason: 'its output could not be taken', thrown });
    });
    return { stdout: () => '', stderr: collect(child.stderr, 'stderr') };
  }
  return { stdout: collect(stdout, 'stdout'), stderr: collect(child.stderr, 'stderr') };
}

function feed(child: ChildProcess, input: RunOptions['input']): void {
  if (child.stdin === null || input === undefined) {
    return;
  }
  const source = input instanceof Readable ? input : Readable.from([Buffer.from(input)]);
  // A command may end without reading all its input; its exit status says whether that was an error.
  pipeline(source, child.stdin).catch(() => undefined);
}

interface Log {
  readonly write: (text: string) => void;
  /** Resolves when everything is written; a full disk is reported here. */
  readonly close: () => Promise<void>;
}

function openLog(file: string, line: string): Log {
  mkdirSync(path.dirname(file), { recursive: true });
  const stream: WriteStream = createWriteStream(file, { flags: 'a' });
  let failure: Error | undefined;
  stream.on('error', (error) => {
    failure = error;
  });
  stream.write(`$ ${line}\n`);
  return {
    write: (text) => {
      stream.write(text);
    },
    close: async () => {
      if (!stream.closed) {
        await new Promise<void>((resolve) => {
          stream.once('close', resolve);
          stream.end();
        });
      }
      if (failure !== undefined) {
        throw failure;
      }
    },
  };
}
