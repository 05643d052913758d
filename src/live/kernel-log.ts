/**
 * What the core writes to the kernel log while something is done: under --debug, each attempt, and the stacks of
 * the tasks that were in the way.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';

const KMSG = '/dev/kmsg';
/** A record is never longer (kernel/printk/internal.h, PRINTK_MESSAGE_MAX). */
const RECORD_MAX = 8192;
const MARK = 'ksplice: ';

/**
 * The message of a record, `6,1234,5678901,-;ksplice: ...`, its first line; undefined if it is not the core's.
 * Source: Documentation/ABI/testing/dev-kmsg.
 */
export function messageOfCore(record: string): string | undefined {
  const [, message = ''] = /^[^;\n]*;(.*)/.exec(record) ?? [];
  return message.startsWith(MARK) ? message.slice(MARK.length) : undefined;
}

/** The next record; undefined when there is none yet, or no log that we may read. */
function nextRecord(fd: number, buffer: Buffer): string | undefined {
  for (;;) {
    try {
      return buffer.toString('utf8', 0, readSync(fd, buffer));
    } catch (error) {
      // EPIPE: records were lost that nobody had read; the next one is there.
      if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) return undefined;
    }
  }
}

function openLog(): number | undefined {
  try {
    return openSync(KMSG, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    // A machine without it has no debug log; that is no reason to fail.
    return undefined;
  }
}

/** The kernel log from here on. */
export class CoreLog implements Disposable {
  readonly #fd = openLog();
  readonly #buffer = Buffer.alloc(RECORD_MAX);

  constructor() {
    this.take();
  }

  /** What the core has written since the last call. */
  take(): readonly string[] {
    if (this.#fd === undefined) return [];
    const messages: string[] = [];
    for (let record = nextRecord(this.#fd, this.#buffer); record !== undefined; ) {
      const message = messageOfCore(record);
      if (message !== undefined) messages.push(message);
      record = nextRecord(this.#fd, this.#buffer);
    }
    return messages;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}
