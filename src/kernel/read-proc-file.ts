/**
 * Reads a file of /proc that gives a page at a time and does not say how long it is, as /proc/kallsyms
 * does: 900 reads. `readFileSync` allocates 64 KiB for each of them, which takes longer than all the rest.
 */
import { closeSync, openSync, readSync } from 'node:fs';

const INITIAL_SIZE = 8 * 1024 * 1024;

/** The whole file, as latin1: one character a byte. */
export function readProcFile(path: string): string {
  const fd = openSync(path, 'r');
  try {
    let buffer = Buffer.allocUnsafe(INITIAL_SIZE);
    let length = 0;
    for (;;) {
      const count = readSync(fd, buffer, length, buffer.length - length, null);
      if (count === 0) return buffer.toString('latin1', 0, length);
      length += count;
      if (length === buffer.length) {
        const larger = Buffer.allocUnsafe(2 * buffer.length);
        buffer.copy(larger);
        buffer = larger;
      }
    }
  } finally {
    closeSync(fd);
  }
}
