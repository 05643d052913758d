import { Writable } from 'node:stream';
import { type RunOptions, run } from '../../process/run.ts';

/** A patch as it was found or made, before it is understood. */
export interface PatchText {
  /** Name for messages, and in the update: `fix.patch`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What a command printed, as bytes: sources are not all UTF-8. */
export interface PrintedBytes {
  readonly exitCode: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

/** Runs a command and keeps its standard output as bytes. Throws as `run` does. */
export async function runForBytes(
  argv: readonly [string, ...string[]],
  options: RunOptions,
): Promise<PrintedBytes> {
  const chunks: Buffer[] = [];
  const stdoutTo = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  const { exitCode, stderr } = await run(argv, { ...options, stdoutTo });
  return { exitCode, stdout: Buffer.concat(chunks), stderr };
}
