/**
 * The guest's first serial port: the kernel's messages, and whoever writes to /dev/console.
 *
 * Everything is kept in memory, and in the transcript file as it arrives, so that the file is complete
 * whatever ends this process.
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';

const TAIL_LINES = 40;

interface Waiter {
  readonly pattern: RegExp;
  readonly found: (match: RegExpExecArray) => void;
  readonly failed: (error: Error) => void;
}

export class VmConsole {
  readonly #socket: Socket;
  readonly #transcript: number | undefined;
  readonly #listeners = new Set<(bytes: Buffer) => void>();
  readonly #closed: Promise<void>;
  #text = '';
  #expectedUpTo = 0;
  #waiter: Waiter | undefined;

  constructor(socket: Socket, transcript: string | undefined) {
    this.#socket = socket;
    if (transcript !== undefined) {
      mkdirSync(dirname(transcript), { recursive: true });
      this.#transcript = openSync(transcript, 'w');
    }
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', () => socket.destroy());
    this.#closed = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  /** Everything since the guest was started, carriage returns removed. */
  get text(): string {
    return this.#text.replaceAll('\r', '');
  }

  /** The last 40 lines. */
  get tail(): string {
    return this.text.trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  }

  /** Resolves when nothing more can come. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** What somebody types. */
  write(text: string | Uint8Array): void {
    this.#socket.write(text);
  }

  /** Calls `listener` with everything that comes from now on; the result stops that. */
  listen(listener: (bytes: Buffer) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Waits for text that matches, beginning after the last match. One expectation at a time.
   * Rejects after `timeoutMs` with the console's last lines.
   */
  expect(pattern: RegExp, timeoutMs = 30_000): Promise<RegExpExecArray> {
    if (this.#waiter !== undefined) {
      return Promise.reject(new Error(`console: already waiting for ${String(this.#waiter.pattern)}`));
    }
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#waiter = undefined;
      };
      const timer = setTimeout(() => {
        settle();
        reject(new Error(`console: no ${String(pattern)} within ${timeoutMs} ms; last lines:\n${this.tail}`));
      }, timeoutMs);
      this.#waiter = {
        pattern,
        found: (match) => {
          settle();
          resolve(match);
        },
        failed: (error) => {
          settle();
          reject(error);
        },
      };
      this.#check();
    });
  }

  /** Ends a pending expectation: the guest is gone. */
  fail(error: Error): void {
    this.#waiter?.failed(error);
  }

  close(): void {
    this.#socket.destroy();
    if (this.#transcript !== undefined) {
      closeSync(this.#transcript);
    }
  }

  #receive(bytes: Buffer): void {
    if (this.#transcript !== undefined) {
      writeSync(this.#transcript, bytes);
    }
    this.#text += bytes.toString('latin1');
    for (const listener of this.#listeners) {
      listener(bytes);
    }
    this.#check();
  }

  #check(): void {
    if (this.#waiter === undefined) {
      return;
    }
    const match = this.#waiter.pattern.exec(this.#text.slice(this.#expectedUpTo));
    if (match !== null) {
      this.#expectedUpTo += match.index + match[0].length;
      this.#waiter.found(match);
    }
  }
}
