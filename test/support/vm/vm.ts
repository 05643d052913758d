/**
 * A guest: an unmodified kernel under QEMU, driven from TypeScript.
 *
 *     await using vm = await Vm.boot({ image: '/boot/vmlinuz-...', cacheDir });
 *     const { exitCode, stdout } = await vm.run('uname -r');
 *
 * Emulation (TCG) and not KVM, because the machines that build and test have none; it is slow and it is the
 * same everywhere. The guest has busybox, node, `/sys/kernel/debug`, `/sys/kernel/tracing`, an interface `lo`, and an
 * unprivileged user (uid 1000). Its first serial port is the console, its second the line to the agent.
 *
 * Whatever happens to a guest is an error that says so: `LostVmError`, with the console's last lines, when it
 * died or stopped answering, `VmTimeoutError` when a command took too long. A kernel that panics ends its QEMU.
 */
import { access, mkdtemp, rm } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MissingError } from '../../../src/diagnostics/error.ts';
import { type AgentCommand, AgentLine, type CommandEnd, type OutputListener } from './agent-line.ts';
import { VmConsole } from './console.ts';
import { type GuestFile, writeInitramfs } from './initramfs.ts';
import { LostVmError, VmTimeoutError } from './lost-vm-error.ts';
import { Qemu, type QemuEnd } from './qemu.ts';
import { QemuMonitor } from './qmp.ts';
import { SharedMemory } from './shared-memory.ts';

export interface VmOptions {
  /** The kernel, a bzImage. */
  readonly image: string;
  readonly cacheDir: string;
  readonly files?: readonly GuestFile[];
  /** The program in one file; the guest's `ksplice` runs it with node. */
  readonly bundle?: string;
  /** Goes to the end of the kernel's command line. */
  readonly append?: string;
  readonly cpus?: number;
  readonly memoryMb?: number;
  /** The file that gets everything that the console prints. */
  readonly transcript?: string;
  /** Until the agent listens; 120 s unless told, twenty times what an idle machine needs. */
  readonly bootTimeoutMs?: number;
  /** Give `monitor()` something to speak to. */
  readonly monitor?: boolean;
  /** An image that the guest has as a virtio disk, and that stays when the guest ends. */
  readonly disk?: string;
  /** One nanosecond of the guest's clock for each instruction; slower, and of one CPU at a time. */
  readonly countInstructions?: boolean;
  /**
   * The guest's CPUs run one at a time. For guests whose kernel rewrites code that other CPUs are running, as it does when
   * a tracer or an event is switched on (they toggle the tracepoints of the scheduler): QEMU before 8.1 (its commit
   * deba78709ae8) may translate a breakpoint that is being taken away, and keep it; then that CPU meets it for ever.
   */
  readonly cpusInTurn?: boolean;
}

export interface VmRunOptions {
  /** The command is killed after that; 120 s unless told, never if infinite. */
  readonly timeoutMs?: number;
  readonly uid?: number;
  readonly cwd?: string;
  readonly input?: Uint8Array | string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with output as it arrives. */
  readonly onOutput?: OutputListener;
}

export interface VmCommandResult {
  /** 128 + n when signal n ended the command. */
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** In the guest, from fork to exit. */
  readonly ms: number;
}

/** A command that runs while others do. Its output is in files in the guest until somebody waits for it. */
export interface VmBackground {
  readonly pid: number;
  wait(timeoutMs?: number): Promise<VmCommandResult>;
  /** To the command and everything that it started. */
  kill(signal: NodeJS.Signals): void;
}

const DEFAULT_TIMEOUT_MS = 120_000;
/** How long a guest may take to confirm a kill, or to switch itself off, before it is taken for dead. */
const PATIENCE_MS = 15_000;
const POWER_OFF_MS = 3_000;
/** Two rings of 2 MB. */
const SHARED_SIZE = 4 << 20;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** `text` as one word of a shell command. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function environment(uid: number, extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [home, user] = uid === 0 ? ['/root', 'root'] : ['/home/user', 'user'];
  return { PATH, HOME: home, USER: user, LC_ALL: 'C', TERM: 'dumb', ...extra };
}

function textResult(end: CommandEnd): VmCommandResult {
  return { ...end, stdout: end.stdout.toString('utf8'), stderr: end.stderr.toString('utf8') };
}

/** Resolves to undefined after `ms`. The timer ends with `promise`, so it keeps nobody waiting. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  if (ms === Number.POSITIVE_INFINITY) {
    return await promise;
  }
  const cancel = new AbortController();
  const timer = delay(ms, undefined, { signal: cancel.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, timer]);
  } finally {
    cancel.abort();
  }
}

export class Vm {
  readonly console: VmConsole;
  readonly #qemu: Qemu;
  readonly #agent: AgentLine;
  readonly #monitor: QemuMonitor | undefined;
  readonly #shared: SharedMemory;
  readonly #folder: string;
  readonly #transcript: string | undefined;
  readonly #gone: Promise<void>;
  #closing: Promise<void> | undefined;
  #broken: Error | undefined;
  #backgroundCount = 0;

  private constructor(qemu: Qemu, shared: SharedMemory, folder: string, transcript: string | undefined) {
    this.#qemu = qemu;
    this.#shared = shared;
    this.#folder = folder;
    this.#transcript = transcript;
    this.console = new VmConsole(qemu.console, transcript);
    this.#monitor = qemu.monitor === undefined ? undefined : new QemuMonitor(qemu.monitor);
    this.#agent = new AgentLine(qemu.data, shared, (error) => {
      this.#broken = error;
      qemu.kill();
    });
    this.#gone = qemu.ended.then((end) => this.#lose(end));
    this.#killOnPanic();
  }

  /**
   * Boots a guest; resolves when it takes commands. Throws MissingError when the kernel or a tool is not there,
   * LostVmError when the guest does not come up.
   */
  static async boot(options: VmOptions): Promise<Vm> {
    await access(options.image).catch((cause: unknown) => {
      throw new MissingError('unknown_kernel', `${options.image}: no such kernel image`, { cause });
    });
    const folder = await mkdtemp(join(tmpdir(), 'ksplice-vm-'));
    const initramfs = join(folder, 'initramfs');
    let vm: Vm;
    let shared: SharedMemory | undefined;
    try {
      shared = new SharedMemory(join(folder, 'shared'), SHARED_SIZE);
      await writeInitramfs(initramfs, options.files ?? [], options.bundle, options.cacheDir);
      const qemu = new Qemu({
        image: options.image,
        initramfs,
        // panic=-1 reboots at once, which -no-reboot makes the end of QEMU.
        commandLine: `console=ttyS0 panic=-1 ${options.append ?? ''}`.trim(),
        cpus: options.cpus ?? 2,
        memoryMb: options.memoryMb ?? 2048,
        monitor: options.monitor ?? false,
        disk: options.disk,
        countInstructions: options.countInstructions ?? false,
        cpusInTurn: options.cpusInTurn ?? false,
        shared: shared.path,
        sharedSize: shared.size,
        temporaryFolder: folder,
      });
      vm = new Vm(qemu, shared, folder, options.transcript);
    } catch (error) {
      shared?.close();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    const limit = options.bootTimeoutMs ?? DEFAULT_TIMEOUT_MS;
    try {
      const ready = await within(
        vm.#agent.ready.then(() => true),
        limit,
      );
      if (ready === undefined) {
        throw vm.#lost(`guest: not up after ${limit} ms`);
      }
      await rm(initramfs);
    } catch (error) {
      await vm.close();
      throw error;
    }
    return vm;
  }

  /** The process on this machine. */
  get qemuPid(): number {
    return this.#qemu.pid;
  }

  /** On this machine; holds what QEMU has mapped, and is removed by `close`. */
  get temporaryFolder(): string {
    return this.#folder;
  }

  /** Runs a shell command in the guest, to its end. Never throws for what the command itself returns. */
  async run(command: string, options: VmRunOptions = {}): Promise<VmCommandResult> {
    return textResult(await this.#runRaw(command, options));
  }

  /**
   * Starts a shell command and returns while it runs.
   *
   * A signal reaches the shell too, so the shell waits for its program and passes the status on: without these
   * traps it would die first, and `wait` would return before the program has written its last words.
   */
  async start(command: string, options: Omit<VmRunOptions, 'timeoutMs'> = {}): Promise<VmBackground> {
    this.#backgroundCount += 1;
    const file = `/run/vm/background-${this.#backgroundCount}`;
    const script = [
      `exec >${file}.out 2>${file}.err`,
      `trap 'exit $?' HUP INT TERM`,
      'trap : USR1 USR2',
      command,
    ].join('\n');
    const running = this.#exec(script, options);
    const pid = await running.started;
    const collect = async (): Promise<VmCommandResult> => {
      const end = await running.ended;
      const [stdout, stderr] = [await this.get(`${file}.out`), await this.get(`${file}.err`)];
      return textResult({ ...end, stdout, stderr });
    };
    let result: Promise<VmCommandResult> | undefined;
    return {
      pid,
      wait: async (timeoutMs = DEFAULT_TIMEOUT_MS) => {
        await this.#limit(running, command, timeoutMs);
        result ??= collect();
        return await result;
      },
      kill: (signal) => this.#agent.kill(running.id, constants.signals[signal]),
    };
  }

  /** Writes a file in the guest, whole or not at all. Parent directories are made. */
  async put(path: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> {
    const [target, part] = [shellQuote(path), shellQuote(`${path}.part`)];
    const parent = shellQuote(path.slice(0, path.lastIndexOf('/')) || '/');
    const script = `mkdir -p ${parent} && cat >${part} && chmod ${mode.toString(8)} ${part} && mv ${part} ${target}`;
    const { exitCode, stderr } = await this.run(script, { input: bytes });
    if (exitCode !== 0) {
      throw new Error(`guest: ${path}: cannot be written: ${stderr.trim()}`);
    }
  }

  /** Reads a file of the guest. */
  async get(path: string): Promise<Buffer> {
    const { exitCode, stdout, stderr } = await this.#runRaw(`exec cat ${shellQuote(path)}`, {});
    if (exitCode !== 0) {
      throw new Error(`guest: ${path}: cannot be read: ${stderr.toString('utf8').trim()}`);
    }
    return stdout;
  }

  /** The kernel's own log, from its ring buffer. */
  async kernelLog(): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run('exec dmesg');
    if (exitCode !== 0) {
      throw new Error(`guest: dmesg: exit status ${exitCode}: ${stderr.trim()}`);
    }
    return stdout;
  }

  /** Seconds since the guest's kernel started. */
  async uptime(): Promise<number> {
    return Number.parseFloat((await this.get('/proc/uptime')).toString('utf8'));
  }

  /** A command to QEMU's monitor (QMP), for guests booted with `monitor`. */
  async monitor(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#monitor === undefined) {
      throw new Error('guest: booted without a monitor');
    }
    return await this.#monitor.execute(command, args);
  }

  /** Resolves when the guest has ended, by itself or by `close`. */
  get gone(): Promise<void> {
    return this.#gone;
  }

  /** Switches the guest off, and ends QEMU in any case. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #shutDown(): Promise<void> {
    this.#agent.powerOff();
    await within(this.#gone, POWER_OFF_MS);
    this.#qemu.kill();
    await this.#gone;
    this.#agent.close();
    this.#monitor?.close();
    this.console.close();
    this.#shared.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #exec(command: string, options: VmRunOptions): AgentCommand {
    const uid = options.uid ?? 0;
    const running = this.#agent.exec({
      command,
      uid,
      cwd: options.cwd ?? (uid === 0 ? '/root' : '/home/user'),
      env: environment(uid, options.env),
      onOutput: options.onOutput,
    });
    this.#agent.feed(running.id, Buffer.from(options.input ?? ''));
    return running;
  }

  async #runRaw(command: string, options: VmRunOptions): Promise<CommandEnd> {
    const running = this.#exec(command, options);
    await this.#limit(running, command, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    return await running.ended;
  }

  /** Waits for a command's end, kills it when its time is over, and gives the guest up if it does not even do that. */
  async #limit(running: AgentCommand, command: string, timeoutMs: number): Promise<void> {
    if ((await within(running.ended, timeoutMs)) !== undefined) {
      return;
    }
    const { stdout, stderr } = running.output();
    this.#agent.kill(running.id, constants.signals.SIGKILL);
    if ((await within(running.ended, PATIENCE_MS)) === undefined) {
      const error = this.#lost(
        `guest: ${command}: not killed ${PATIENCE_MS} ms after its ${timeoutMs} ms were over`,
      );
      this.#broken = error;
      this.#qemu.kill();
      throw error;
    }
    throw new VmTimeoutError(
      `guest: ${command}: killed after ${timeoutMs} ms`,
      stdout.toString('utf8'),
      stderr.toString('utf8'),
    );
  }

  #lost(message: string): LostVmError {
    return new LostVmError(message, this.console.tail, this.#transcript, this.#broken);
  }

  /** QEMU has ended: say so to everybody who waits for the guest. */
  async #lose(end: QemuEnd): Promise<void> {
    await within(this.console.closed, 1_000);
    const how = end.signal === null ? `exit status ${String(end.exitCode)}` : end.signal;
    const panic = /Kernel panic - not syncing: .*/.exec(this.console.text)?.[0];
    const what =
      this.#broken?.message ?? panic ?? (this.#closing === undefined ? 'ended by itself' : 'was closed');
    const error = this.#lost(
      `guest: ${what} (QEMU: ${how}${end.messages === '' ? '' : `, ${end.messages}`})`,
    );
    this.#agent.fail(error);
    this.#monitor?.fail(error);
    this.console.fail(error);
  }

  /** For a command line that overrides panic=-1: a kernel that has panicked is of no further use. */
  #killOnPanic(): void {
    let seen = '';
    const stop = this.console.listen((bytes) => {
      seen = `${seen}${bytes.toString('latin1')}`.slice(-4096);
      if (seen.includes('Kernel panic - not syncing')) {
        stop();
        setTimeout(() => this.#qemu.kill(), 2_000).unref();
      }
    });
  }
}
