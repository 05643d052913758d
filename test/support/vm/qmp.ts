/**
 * QEMU's monitor protocol, as much as tests need: one command, one answer, one line of JSON each.
 * Reference: docs/interop/qmp-spec in QEMU's source. Events are ignored.
 */
import type { Socket } from 'node:net';

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly QMP?: unknown;
  readonly event?: string;
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === 'object' && value !== null;
}

export class QemuMonitor {
  readonly #socket: Socket;
  readonly #waiting: {
    readonly resolve: (value: unknown) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  readonly #negotiated: Promise<unknown>;
  #rest = '';
  #failure: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes.toString('utf8')));
    socket.on('error', () => socket.destroy());
    this.#negotiated = this.#send('qmp_capabilities', {});
    this.#negotiated.catch(() => undefined);
  }

  /** Runs one command, `inject-nmi` for instance; resolves to what it returns. */
  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    await this.#negotiated;
    return await this.#send(command, args);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) {
      waiting.reject(error);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(command: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure);
        return;
      }
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    });
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const answer: unknown = JSON.parse(line);
      if (!isAnswer(answer) || 'QMP' in answer || 'event' in answer) {
        continue;
      }
      const waiting = this.#waiting.shift();
      if (answer.error === undefined) {
        waiting?.resolve(answer.return);
      } else {
        waiting?.reject(new Error(`qemu monitor: ${answer.error.class}: ${answer.error.desc}`));
      }
    }
  }
}
