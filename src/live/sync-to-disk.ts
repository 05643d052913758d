import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Has a file or a directory written to the disk. */
export function syncToDisk(file: string): void {
  const fd = openSync(file, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
