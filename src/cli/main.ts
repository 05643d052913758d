/**
 * The program: hands the process to `runCli` and ends it with the status that comes back.
 *
 * Two things are easy to get wrong at this edge. A reader that goes away (`ksplice view | head -1`) makes
 * writing fail; that must not stop an apply half-way, so what cannot be written is dropped and the command
 * goes on. And the process is ended only after what was written has gone out: `process.exit` does not wait for a
 * pipe, and without it an open handle could keep us here.
 *
 * A first SIGINT, SIGTERM or SIGHUP asks the command to stop and clean up; a second one ends the process.
 */
import { realpathSync } from 'node:fs';
import picocolors from 'picocolors';
import type { Host } from './host.ts';
import { runCli } from './run-cli.ts';

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

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
  const stdout = writer(process.stdout);
  const stderr = writer(process.stderr);
  const host: Host = {
    stdout: stdout.write,
    stderr: {
      write: stderr.write,
      isTerminal: process.stderr.isTTY && process.env['TERM'] !== 'dumb',
      colors: picocolors.isColorSupported && process.stderr.isTTY,
      columns: () => process.stderr.columns,
      now: () => performance.now(),
    },
    env: process.env,
    cwd: process.cwd(),
    program: realpathSync(process.argv[1] ?? ''),
    signal: controller.signal,
  };
  const end = async (status: number): Promise<never> => {
    await Promise.all([stdout.flushed(), stderr.flushed()]);
    process.exit(status);
  };
  runCli(process.argv.slice(2), host).then(end, async (error: unknown) => {
    stderr.write(`ksplice: unexpected error: ${error instanceof Error ? error.stack : String(error)}\n`);
    return await end(70);
  });
}

interface Writer {
  readonly write: (text: string) => void;
  /** Resolves when everything has gone out, or nobody reads any more. */
  readonly flushed: () => Promise<void>;
}

function writer(stream: NodeJS.WriteStream): Writer {
  let broken = false;
  stream.on('error', () => {
    broken = true;
  });
  return {
    write: (text) => {
      if (!broken && text !== '') {
        stream.write(text);
      }
    },
    flushed: async () => {
      if (!broken) {
        await new Promise<void>((resolve) => {
          stream.once('error', () => {
            resolve();
          });
          stream.write('', () => {
            resolve();
          });
        });
      }
    },
  };
}

main();
