/**
 * The program: hands the process to `runCli` and ends it with the status that comes back.
 *
 * Text is written to the file descriptors, at once, and not through `process.stdout`: for a pipe that is a
 * socket of Node's, whose code takes a good part of a second to load where everything is slow, and which has
 * to be waited for at the end. What is left is easy to get wrong: a reader that goes away (`ksplice view |
 * head -1`) makes writing fail; that must not stop an apply half-way, so what cannot be written is dropped
 * and the command goes on. A pipe that somebody made non-blocking can be full: then we wait for its reader.
 *
 * A first SIGINT, SIGTERM or SIGHUP asks the command to stop and clean up; a second one ends the process.
 */
import { fstatSync, realpathSync, writeSync } from 'node:fs';
import type { Host } from './host.ts';
import { runCli } from './run-cli.ts';

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const STDOUT = 1;
const STDERR = 2;
const MILLISECONDS_UNTIL_RETRY = 5;

function main(): void {
  const controller = new AbortController();
  for (const [signal, status] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      if (controller.signal.aborted) {
        process.exit(status);
      }
      controller.abort(signal);
    });
  }
  const isTerminal = isCharacterDevice(STDERR) && process.stderr.isTTY && process.env['TERM'] !== 'dumb';
  const stderr = writer(STDERR);
  const host: Host = {
    stdout: writer(STDOUT),
    stderr: {
      write: stderr,
      isTerminal,
      // https://no-color.org
      colors: isTerminal && (process.env['NO_COLOR'] ?? '') === '',
      columns: () => process.stderr.columns,
      // Seconds since the start, by the same clock: `performance` loads what we do without otherwise.
      now: () => process.uptime() * 1000,
    },
    env: process.env,
    cwd: process.cwd(),
    program: realpathSync(process.argv[1] ?? ''),
    signal: controller.signal,
  };
  runCli(process.argv.slice(2), host).then(
    (status) => process.exit(status),
    (error: unknown) => {
      stderr(`ksplice: unexpected error: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(70);
    },
  );
}

/** A terminal is one; asking Node whether it is one loads what we do without otherwise. */
function isCharacterDevice(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return false;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** Writes text whole, or drops it if nobody reads any more. */
function writer(fd: number): (text: string) => void {
  let broken = false;
  return (text) => {
    let rest = Buffer.from(text);
    while (!broken && rest.length > 0) {
      try {
        rest = rest.subarray(writeSync(fd, rest));
      } catch (error) {
        if (codeOf(error) === 'EAGAIN') {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, MILLISECONDS_UNTIL_RETRY);
        } else {
          broken = true;
        }
      }
    }
  };
}

main();
