/**
 * One QEMU process, which never outlives this one.
 *
 * The serial ports and the monitor are sockets that QEMU inherits, so there are no names in the file system,
 * nothing to connect to and nobody else who could.
 *
 * QEMU does not notice that its parent is gone, and a parent that is killed can do nothing any more. So each
 * QEMU has a watchdog: a shell that reads from a pipe whose other end only this process holds. End of file
 * without a word means that this process ended, however it ended, and the watchdog kills QEMU and removes the
 * temporary files. Both are in sessions of their own, so that an interrupt from the terminal does not
 * reach them first.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import { InternalError, MissingError } from '../../../src/diagnostics/error.ts';

const QEMU = 'qemu-system-x86_64';
const WATCHDOG = 'read word && exit 0; kill -KILL "$1"; rm -rf "$2"';

export interface QemuOptions {
  readonly image: string;
  readonly initramfs: string;
  readonly commandLine: string;
  /** The file that both sides map, and its size in bytes; a power of two. */
  readonly shared: string;
  readonly sharedSize: number;
  readonly cpus: number;
  readonly memoryMb: number;
  readonly monitor: boolean;
  /** An image that the guest has as a virtio disk. */
  readonly disk: string | undefined;
  /** One nanosecond of the guest's clock for each instruction that it executes: then times are counts of instructions. */
  readonly countInstructions: boolean;
  /** The guest's CPUs run one at a time, in one thread. */
  readonly cpusInTurn: boolean;
  /** Removed by the watchdog when this process ends without closing. */
  readonly temporaryFolder: string;
}

export interface QemuEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What QEMU itself had to say. */
  readonly messages: string;
}

function findQemu(): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, QEMU);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not in this folder
    }
  }
  throw new MissingError('missing_tool', `${QEMU}: not found in PATH, needed to boot a guest`, {
    hint: 'apt-get install qemu-system-x86',
  });
}

function qemuArguments(options: QemuOptions): string[] {
  const shared = `share=on,size=${options.sharedSize},mem-path=${options.shared}`;
  return [
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ['-machine', 'pc', '-cpu', 'max'],
    ['-accel', `tcg,thread=${options.countInstructions || options.cpusInTurn ? 'single' : 'multi'}`],
    options.countInstructions ? ['-icount', 'shift=0'] : [],
    ['-smp', String(options.cpus), '-m', String(options.memoryMb)],
    ['-kernel', options.image, '-initrd', options.initramfs, '-append', options.commandLine],
    ['-chardev', 'socket,id=console,fd=3', '-serial', 'chardev:console'],
    ['-chardev', 'socket,id=data,fd=4', '-serial', 'chardev:data'],
    [
      '-object',
      `memory-backend-file,id=shared,${shared}`,
      '-device',
      'ivshmem-plain,memdev=shared,addr=0x10',
    ],
    options.disk === undefined ? [] : ['-drive', `file=${options.disk},format=raw,if=virtio`],
    options.monitor ? ['-chardev', 'socket,id=monitor,fd=5', '-mon', 'chardev=monitor,mode=control'] : [],
  ].flat();
}

/** Node makes every extra 'pipe' a connected pair of sockets, readable and writable on both sides. */
function inherited(child: ChildProcess, fd: number): Socket {
  const end = child.stdio[fd];
  if (!(end instanceof Socket)) {
    throw new InternalError('unexpected', `${QEMU}: its file descriptor ${fd} is not a socket`);
  }
  return end;
}

export class Qemu {
  readonly pid: number;
  readonly console: Socket;
  readonly data: Socket;
  readonly monitor: Socket | undefined;
  /** Resolves when the process has ended, for whatever reason. */
  readonly ended: Promise<QemuEnd>;
  readonly #child: ChildProcess;
  readonly #watchdog: ChildProcess;
  readonly #killAtExit = (): void => this.kill();

  /** Throws MissingError when there is no QEMU. */
  constructor(options: QemuOptions) {
    const pipes = Array.from({ length: options.monitor ? 3 : 2 }, () => 'pipe' as const);
    this.#child = spawn(findQemu(), qemuArguments(options), {
      stdio: ['ignore', 'pipe', 'pipe', ...pipes],
      detached: true,
      env: { ...process.env, LC_ALL: 'C' },
    });
    const { pid } = this.#child;
    if (pid === undefined) {
      throw new MissingError('missing_tool', `${QEMU}: cannot be started`);
    }
    this.pid = pid;
    this.#watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'watchdog', String(pid), options.temporaryFolder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    this.#watchdog.stdin?.on('error', () => undefined);
    process.on('exit', this.#killAtExit);
    let messages = '';
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        messages += bytes.toString('utf8');
      });
    }
    this.ended = new Promise((resolve) => {
      this.#child.once('exit', (exitCode, signal) => {
        process.off('exit', this.#killAtExit);
        this.#watchdog.stdin?.end('done\n');
        setImmediate(() => resolve({ exitCode, signal, messages: messages.trim() }));
      });
    });
    this.console = inherited(this.#child, 3);
    this.data = inherited(this.#child, 4);
    this.monitor = options.monitor ? inherited(this.#child, 5) : undefined;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
