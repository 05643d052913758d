/**
 * The harness's end of the guest's second serial port: commands out, their output and exit statuses back.
 *
 * Large payloads lie in memory that both sides see, since a serial port takes 20 s for a megabyte;
 * `test/guest/agent.c` describes that too.
 *
 * Many commands are under way at once, told apart by number. The guest's kernel discards what a serial port
 * receives faster than it is read, so never more than a window of bytes is under way; the agent says how many
 * it has taken. The other direction needs no such care: QEMU waits until this process reads.
 */
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { FormatError } from '../../../src/diagnostics/error.ts';
import { encodeFrame, encodeNumbers, FRAME, type Frame, FrameDecoder } from './frame.ts';
import type { SharedMemory } from './shared-memory.ts';

/** Half of what a tty buffers, and enough to keep the line busy. */
const WINDOW = 16 * 1024;
/** Input of a command is cut into pieces: 4 KB on the line, 64 KB (what a pipe holds) in shared memory. */
const LINE_PIECE = 4 * 1024;
const SHARED_PIECE = 64 * 1024;

export interface ExecRequest {
  readonly command: string;
  readonly uid: number;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Called with output as it arrives; it is kept all the same. */
  readonly onOutput?: OutputListener | undefined;
}

export type OutputListener = (bytes: Buffer, stream: 'stdout' | 'stderr') => void;

export interface CommandEnd {
  /** As a shell says it: 128 + n when signal n ended the command. */
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** Milliseconds in the guest from fork to exit. */
  readonly ms: number;
}

/** One command in the guest. */
export interface AgentCommand {
  readonly id: number;
  readonly started: Promise<number>;
  readonly ended: Promise<CommandEnd>;
  /** What it has written so far. */
  output(): { readonly stdout: Buffer; readonly stderr: Buffer };
}

/** Something that waits for room: a frame for the line, or input for shared memory, which becomes a frame. */
interface Queued {
  readonly command: number;
  readonly isInput: boolean;
  readonly frame?: Buffer;
  readonly bytes?: Uint8Array;
}

interface Running {
  readonly stdout: Buffer[];
  readonly stderr: Buffer[];
  readonly onOutput: OutputListener | undefined;
  readonly started: PromiseWithResolvers<number>;
  readonly ended: PromiseWithResolvers<CommandEnd>;
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function ignore(): void {
  // until the promise's own functions take its place
}

/** A promise whose rejection counts as handled: it is reported by whoever awaits it, if anybody does. */
function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = ignore;
  let reject: (error: Error) => void = ignore;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** A wait status as a shell's exit status. */
function exitCodeOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}

function errnoName(value: number): string {
  return Object.entries(constants.errno).find(([, number]) => number === value)?.[0] ?? `errno ${value}`;
}

function keepOutput(running: Running, stream: 'stdout' | 'stderr', bytes: Buffer): void {
  running[stream].push(bytes);
  running.onOutput?.(bytes, stream);
}

export class AgentLine {
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #running = new Map<number, Running>();
  readonly #hello = withResolvers<void>();
  readonly #shared: SharedMemory;
  readonly #queue: Queued[] = [];
  /** What is left of the frame that is being sent. */
  #current: Buffer = Buffer.alloc(0);
  readonly #onBroken: (error: Error) => void;
  #nextId = 1;
  #sent = 0;
  #taken = 0;
  #failure: Error | undefined;

  /** `onBroken` is called once when the line cannot be trusted any more. */
  constructor(socket: Socket, shared: SharedMemory, onBroken: (error: Error) => void) {
    this.#socket = socket;
    this.#shared = shared;
    this.#onBroken = onBroken;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', () => socket.destroy());
  }

  /** Resolves when the agent listens. */
  get ready(): Promise<void> {
    return this.#hello.promise;
  }

  exec(request: ExecRequest): AgentCommand {
    const id = this.#nextId;
    this.#nextId += 1;
    const running: Running = {
      stdout: [],
      stderr: [],
      onOutput: request.onOutput,
      started: withResolvers(),
      ended: withResolvers(),
    };
    const strings = [
      request.cwd,
      request.command,
      ...Object.entries(request.env).map((pair) => pair.join('=')),
    ];
    const bad = strings.find((text) => text.includes('\0'));
    if (bad !== undefined) {
      throw new FormatError('usage', `guest command: NUL in ${JSON.stringify(bad)}`);
    }
    if (this.#failure === undefined) {
      this.#running.set(id, running);
      const payload = Buffer.concat([
        encodeNumbers(request.uid),
        Buffer.from(strings.map((s) => `${s}\0`).join('')),
      ]);
      this.#sendFrame(FRAME.exec, id, payload);
    } else {
      running.started.reject(this.#failure);
      running.ended.reject(this.#failure);
    }
    return {
      id,
      started: running.started.promise,
      ended: running.ended.promise,
      output: () => ({ stdout: Buffer.concat(running.stdout), stderr: Buffer.concat(running.stderr) }),
    };
  }

  /** Sends all of a command's standard input, and closes it. */
  feed(id: number, input: Uint8Array): void {
    const shared = this.#shared.usable && input.length > LINE_PIECE;
    const piece = shared ? SHARED_PIECE : LINE_PIECE;
    for (let at = 0; at < input.length; at += piece) {
      const bytes = input.subarray(at, at + piece);
      const frame = shared ? {} : { frame: encodeFrame(FRAME.stdin, id, bytes) };
      this.#send({ command: id, isInput: true, bytes, ...frame });
    }
    this.#send({ command: id, isInput: true, frame: encodeFrame(FRAME.stdin, id) });
  }

  /** Sends a signal to everything that the command started (its process group). */
  kill(id: number, signal: number): void {
    if (signal === constants.signals.SIGKILL) {
      const others = this.#queue.filter((queued) => queued.command !== id || !queued.isInput);
      this.#queue.splice(0, this.#queue.length, ...others);
    }
    this.#sendFrame(FRAME.kill, id, encodeNumbers(signal));
  }

  powerOff(): void {
    this.#sendFrame(FRAME.powerOff, 0);
  }

  /** The guest is gone: whatever waits for it fails with `error`, now and later. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.#hello.reject(error);
    for (const running of this.#running.values()) {
      running.started.reject(error);
      running.ended.reject(error);
    }
    this.#running.clear();
    this.#queue.length = 0;
  }

  close(): void {
    this.#socket.destroy();
  }

  #sendFrame(type: number, command: number, payload?: Uint8Array): void {
    this.#send({ command, isInput: false, frame: encodeFrame(type, command, payload) });
  }

  #send(queued: Queued): void {
    if (this.#failure === undefined) {
      this.#queue.push(queued);
      this.#flush();
    }
  }

  /** The next frame to send; empty when there is none, or when shared memory is full. */
  #nextFrame(): Buffer {
    const next = this.#queue[0];
    if (next === undefined) {
      return Buffer.alloc(0);
    }
    if (next.frame === undefined) {
      const place = this.#shared.put(next.bytes ?? new Uint8Array());
      if (place === undefined) {
        return Buffer.alloc(0);
      }
      this.#queue.shift();
      const payload = encodeNumbers(place.position, place.length, place.checksum);
      return encodeFrame(FRAME.stdinAt, next.command, payload);
    }
    this.#queue.shift();
    return next.frame;
  }

  #flush(): void {
    for (;;) {
      if (this.#current.length === 0) {
        this.#current = this.#nextFrame();
      }
      const room = WINDOW - (this.#sent - this.#taken);
      const now = this.#current.subarray(0, room);
      if (now.length === 0) {
        return;
      }
      this.#socket.write(now);
      this.#sent += now.length;
      this.#current = this.#current.subarray(now.length);
    }
  }

  #receive(bytes: Buffer): void {
    try {
      for (const frame of this.#decoder.push(bytes)) {
        this.#handle(frame);
      }
    } catch (error) {
      this.#onBroken(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #handle(frame: Frame): void {
    const { payload } = frame;
    if (frame.type === FRAME.hello) {
      this.#shared.announce(payload.readUInt32LE(0));
      this.#hello.resolve();
    } else if (frame.type === FRAME.credit) {
      // The counter in the frame has 32 bits; ours goes on.
      this.#taken += (payload.readUInt32LE(0) - this.#taken) >>> 0;
      this.#flush();
    } else if (frame.type === FRAME.freed) {
      this.#shared.free(payload.readUInt32LE(0));
      this.#flush();
    } else {
      this.#handleCommand(frame);
    }
  }

  #handleCommand(frame: Frame): void {
    const running = this.#running.get(frame.command);
    if (running === undefined) {
      throw new FormatError(
        'unexpected',
        `guest's data line: frame ${frame.type} for unknown command ${frame.command}`,
      );
    }
    if (frame.type === FRAME.started) {
      this.#handleStarted(frame, running);
    } else if (frame.type === FRAME.stdout) {
      keepOutput(running, 'stdout', frame.payload);
    } else if (frame.type === FRAME.stderr) {
      keepOutput(running, 'stderr', frame.payload);
    } else if (frame.type === FRAME.stdoutAt) {
      keepOutput(running, 'stdout', this.#takeShared(frame.payload));
    } else if (frame.type === FRAME.stderrAt) {
      keepOutput(running, 'stderr', this.#takeShared(frame.payload));
    } else if (frame.type === FRAME.exit) {
      this.#running.delete(frame.command);
      running.ended.resolve({
        exitCode: exitCodeOf(frame.payload.readUInt32LE(0)),
        stdout: Buffer.concat(running.stdout),
        stderr: Buffer.concat(running.stderr),
        ms: Number(frame.payload.readBigUInt64LE(4)) / 1000,
      });
    } else {
      throw new FormatError('unexpected', `guest's data line: unknown frame type ${frame.type}`);
    }
  }

  #takeShared(payload: Buffer): Buffer {
    const [position, length] = [payload.readUInt32LE(0), payload.readUInt32LE(4)];
    const bytes = this.#shared.take({ position, length, checksum: payload.readUInt32LE(8) });
    this.#sendFrame(FRAME.freed, 0, encodeNumbers(position + length));
    return bytes;
  }

  #handleStarted(frame: Frame, running: Running): void {
    const pid = frame.payload.readInt32LE(0);
    if (pid > 0) {
      running.started.resolve(pid);
      return;
    }
    this.#running.delete(frame.command);
    const error = new Error(`guest: cannot start a command: ${errnoName(-pid)}`);
    running.started.reject(error);
    running.ended.reject(error);
  }
}
