import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readProcFile } from './read-proc-file.ts';

describe('readProcFile', () => {
  it('reads a file that does not say how long it is', () => {
    expect(readProcFile('/proc/version')).toBe(readFileSync('/proc/version', 'latin1'));
  });

  it('reads more than one buffer', () => {
    // 8 MiB and some: the file is read whole, whatever the buffer's first size is.
    const text = readProcFile(process.execPath);
    expect(text.length).toBe(readFileSync(process.execPath).length);
    expect(text.length).toBeGreaterThan(8 * 1024 * 1024);
    expect(text.startsWith('\x7fELF')).toBe(true);
  });

  it('throws for what is not there', () => {
    expect(() => readProcFile('/proc/no-such-file')).toThrow(/ENOENT/);
  });
});
