import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A directory for one test, with the compiler and the binutils in it; `using` removes it.
 * A tool that fails throws with what it wrote to standard error.
 */
export interface Workshop {
  readonly directory: string;
  /** Compiles C (or, with a `.s` name, assembles) and returns the path of the object. */
  compile(name: string, source: string, flags?: readonly string[]): string;
  /** Runs a tool in the directory, gives its standard output. */
  run(tool: string, ...args: readonly string[]): string;
  write(name: string, contents: Uint8Array | string): string;
  read(name: string): Uint8Array;
  [Symbol.dispose](): void;
}

export function openWorkshop(): Workshop {
  const directory = mkdtempSync(join(tmpdir(), 'ksplice-test-'));
  const run = (tool: string, ...args: readonly string[]): string =>
    execFileSync(tool, args, {
      cwd: directory,
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C' },
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  const write = (name: string, contents: Uint8Array | string): string => {
    writeFileSync(join(directory, name), contents);
    return join(directory, name);
  };
  return {
    directory,
    run,
    write,
    compile: (name, source, flags = []) => {
      write(name, source);
      const object = name.replace(/\.[cs]$/, '.o');
      run('gcc', '-c', ...flags, name, '-o', object);
      return join(directory, object);
    },
    read: (name) => readFileSync(join(directory, name)),
    [Symbol.dispose]: () => {
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
