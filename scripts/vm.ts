/**
 * `npm run vm -- --kernel RELEASE [--put FILE]... [--run COMMAND]`: an unmodified Debian kernel in QEMU, with
 * `ksplice` in it.
 *
 * With --run, runs one shell command there and passes on its output and exit status. Without, a shell on the
 * guest's console: the terminal is passed through as it is, so that what the guest's shell does with keys
 * works; Ctrl-] is ours, and ends a guest that answers nothing any more.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { UsageError } from '../src/diagnostics/error.ts';
import { buildBundle } from '../test/support/bundle.ts';
import type { GuestFile } from '../test/support/vm/initramfs.ts';
import { LostVmError } from '../test/support/vm/lost-vm-error.ts';
import { Vm } from '../test/support/vm/vm.ts';
import { numberFlag, readFlags, reportError } from './command-line.ts';

const USAGE = `usage: npm run vm -- --kernel RELEASE [--put FILE]... [--run COMMAND] [--append TEXT] [--cpus N]

Boots Debian's kernel RELEASE, unmodified, in QEMU, with ksplice and node in it.

  --kernel RELEASE  6.1.0-47-cloud-amd64, for instance; fetched by apt into the cache
  --put FILE        a file for the guest, under its base name in the command's working directory
  --run COMMAND     run this by sh -c, pass on its output and exit status, and switch the guest off;
                    without it there is a shell on the console (exit or Ctrl-D ends it, Ctrl-] at once)
  --append TEXT     goes to the end of the kernel's command line
  --cpus N          processors of the guest; 2 unless told

example: npm run vm -- --kernel 6.1.0-47-cloud-amd64 --put fix.ksplice --run 'ksplice apply fix.ksplice'
`;

const HOME = '/root';
const TTY = '/dev/ttyS0';
/** The console and the agent's line are two sockets: what left the guest first need not arrive first. */
const CONSOLE_DELAY_MS = 50;
const ESCAPE_KEY = 0x1d; // Ctrl-]
const END_OF_INPUT = '\x04';

interface Request {
  readonly release: string;
  readonly files: readonly GuestFile[];
  readonly command: string | undefined;
  readonly append: string;
  readonly cpus: number;
}

function progress(line: string): void {
  process.stderr.write(`vm: ${line}\n`);
}

/** Files are named from where npm was called; npm itself runs its scripts in the project's root. */
async function guestFiles(names: readonly string[]): Promise<readonly GuestFile[]> {
  const start = process.env['INIT_CWD'] ?? process.cwd();
  const files = new Map<string, GuestFile>();
  for (const name of names) {
    const from = resolve(start, name);
    const status = await stat(from).catch(() => undefined);
    if (status === undefined || !status.isFile()) {
      throw new UsageError('usage', `--put ${name}: ${status === undefined ? 'no such file' : 'not a file'}`);
    }
    const path = `${HOME}/${basename(from)}`;
    if (files.has(path)) {
      throw new UsageError('usage', `--put ${name}: another file is already called ${basename(from)} there`);
    }
    files.set(path, { path, contents: await readFile(from), mode: status.mode & 0o777 });
  }
  return [...files.values()];
}

async function readRequest(argv: readonly string[]): Promise<Request | undefined> {
  const values = readFlags(argv, {
    kernel: { type: 'string' },
    put: { type: 'string', multiple: true },
    run: { type: 'string' },
    append: { type: 'string' },
    cpus: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  if (values.help === true) {
    return undefined;
  }
  if (values.kernel === undefined) {
    throw new UsageError('usage', '--kernel is missing', { hint: 'npm run vm -- --help' });
  }
  return {
    release: values.kernel,
    files: await guestFiles(values.put ?? []),
    command: values.run,
    append: values.append ?? '',
    cpus: numberFlag('--cpus', values.cpus, 2, 64),
  };
}

async function runCommand(vm: Vm, command: string): Promise<number> {
  const { exitCode } = await vm.run(command, {
    cwd: HOME,
    timeoutMs: Number.POSITIVE_INFINITY,
    onOutput: (bytes, stream) => process[stream].write(bytes),
  });
  return exitCode;
}

/** The shell has its own session (the agent gives every command one), so the console becomes its terminal. */
async function interactiveShell(vm: Vm): Promise<number> {
  const { stdin, stdout } = process;
  const size = stdout.isTTY && stdout.rows > 0 ? `stty rows ${stdout.rows} cols ${stdout.columns};` : '';
  const stopListening = vm.console.listen((bytes) => stdout.write(bytes));
  const escaped = new Promise<number>((done) => {
    stdin.on('data', (bytes: Buffer) => {
      if (stdin.isTTY && bytes.includes(ESCAPE_KEY)) {
        done(130);
      } else {
        vm.console.write(bytes);
      }
    });
  });
  stdin.on('end', () => vm.console.write(END_OF_INPUT));
  if (stdin.isTTY) {
    stdin.setRawMode(true);
  }
  try {
    // Opening it makes it the session's terminal; setting it waits until what was printed last has left it.
    const shell = vm.run(`exec <${TTY} >${TTY} 2>&1; ${size} sh; status=$?; stty sane; exit $status`, {
      cwd: HOME,
      timeoutMs: Number.POSITIVE_INFINITY,
      env: { TERM: process.env['TERM'] ?? 'dumb', PS1: '\\u@\\h:\\w# ' },
    });
    const ended = shell.then(async ({ exitCode }) => {
      await delay(CONSOLE_DELAY_MS);
      return exitCode;
    });
    return await Promise.race([ended, escaped]);
  } finally {
    stopListening();
    if (stdin.isTTY) {
      stdin.setRawMode(false);
    }
    stdin.pause();
  }
}

async function main(): Promise<number> {
  const request = await readRequest(process.argv.slice(2));
  if (request === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  const cache = cacheDir(process.env);
  const kernel = await debianSources(request.release, {
    cacheDir: cache,
    parts: ['image'],
    onProgress: progress,
  });
  const bundle = await buildBundle(cache);
  progress(`booting ${kernel.release} (${kernel.version})`);
  await using vm = await Vm.boot({
    image: kernel.image,
    files: request.files,
    bundle,
    append: request.append,
    cpus: request.cpus,
    cacheDir: cache,
  });
  if (request.command === undefined) {
    return await interactiveShell(vm);
  }
  return await runCommand(vm, request.command);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof LostVmError) {
    progress(error.message);
    process.exitCode = 70;
  } else {
    process.exitCode = reportError('vm', error);
  }
}
