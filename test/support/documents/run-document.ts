/**
 * Does what a document shows: at `build$` on this machine, in a folder of its own, at `machine#` in a guest.
 *
 * `ksplice` is the tool as it is now, and `scp FILE... machine:` brings files to /root of the guest. Nothing else stands in
 * for what a reader has. Steps that tell how far a command is are no output: on a terminal they are gone.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../../src/process/run.ts';
import { CHECKOUT, hostBundle } from '../live/host-cli.ts';
import { testCacheDir } from '../vm/test-kernel.ts';
import type { Vm } from '../vm/vm.ts';
import { isShownOutput } from './compare-output.ts';
import type { ShownCommand } from './read-document.ts';

const COMMAND_TIMEOUT_MS = 240_000;
const STEP = /^\[ *\d+\.\d s\] /;

export interface Outcome {
  readonly exitCode: number;
  readonly output: readonly string[];
}

/** Both machines of a document. */
export class DocumentMachines {
  readonly #folder: string;
  readonly #vm: Vm | undefined;

  private constructor(folder: string, vm: Vm | undefined) {
    this.#folder = folder;
    this.#vm = vm;
  }

  /** @param folder is emptied; `home` in it is where commands are typed. Without `vm` there is no `machine#` */
  static async make(folder: string, vm?: Vm): Promise<DocumentMachines> {
    await rm(folder, { recursive: true, force: true });
    for (const each of ['bin', 'home', 'outbox']) await mkdir(join(folder, each), { recursive: true });
    const programs = {
      ksplice: `exec '${process.execPath}' '${await hostBundle()}' "$@"`,
      scp: `for file; do [ "$file" = machine: ] || cp "$file" '${join(folder, 'outbox')}'; done`,
    };
    for (const [name, body] of Object.entries(programs)) {
      await writeFile(join(folder, 'bin', name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    return new DocumentMachines(folder, vm);
  }

  /** Runs one command, whatever comes of it. */
  async run({ where, command }: ShownCommand): Promise<Outcome> {
    const { exitCode, stdout } =
      where === 'build' ? await this.#onHost(command) : await this.#inGuest(command);
    const text = stdout.replaceAll(testCacheDir(), '~/.cache/ksplice');
    const lines = text.split('\n').filter((line) => !STEP.test(line));
    if (lines.at(-1) === '') lines.pop();
    return { exitCode, output: lines };
  }

  #guest(): Vm {
    if (this.#vm === undefined) throw new Error('a document that is read without a guest has no machine#');
    return this.#vm;
  }

  async #onHost(command: string): Promise<{ readonly exitCode: number; readonly stdout: string }> {
    const env = { PATH: `${join(this.#folder, 'bin')}:${process.env['PATH']}`, KSPLICE: CHECKOUT };
    const okExitCodes = Array.from({ length: 256 }, (_, status) => status);
    const outcome = await run(['sh', '-c', `exec 2>&1\n${command}`], {
      cwd: join(this.#folder, 'home'),
      env,
      okExitCodes,
    });
    const outbox = join(this.#folder, 'outbox');
    for (const name of await readdir(outbox)) {
      await this.#guest().put(`/root/${name}`, await readFile(join(outbox, name)), 0o755);
      await rm(join(outbox, name));
    }
    return outcome;
  }

  async #inGuest(command: string): Promise<{ readonly exitCode: number; readonly stdout: string }> {
    return await this.#guest().run(`exec 2>&1\n${command}`, { cwd: '/root', timeoutMs: COMMAND_TIMEOUT_MS });
  }
}

/** What is wrong with an outcome, as a text for who reads the test; undefined if nothing is. */
export function complaint({ command, output, line }: ShownCommand, found: Outcome): string | undefined {
  const told = found.output.join('\n');
  if (found.exitCode !== 0) return `line ${line}: ${command}: exit status ${found.exitCode}\n${told}`;
  if (output.length > 0 && !isShownOutput(output, found.output)) {
    return `line ${line}: ${command}: this is printed, and not what is shown:\n${told}`;
  }
  return undefined;
}
