import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FormatError, MissingError } from '../diagnostics/error.ts';
import { readSymbolCrc } from './module-symvers.ts';

const folder = mkdtempSync(join(tmpdir(), 'symvers-'));
const file = join(folder, 'Module.symvers');
writeFileSync(
  file,
  [
    '0x00000001\tmodule_layout\tdrivers/net/veth\tEXPORT_SYMBOL\t',
    '0xca916cb2\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t',
    '0x12345678\tmodule_layout_extra\tvmlinux\tEXPORT_SYMBOL\t',
    '',
  ].join('\n'),
);

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('readSymbolCrc', () => {
  it("gives the CRC of vmlinux's own symbol, from the file or its directory", async () => {
    expect(await readSymbolCrc(file, 'module_layout')).toBe(0xca916cb2);
    expect(await readSymbolCrc(folder, 'module_layout')).toBe(0xca916cb2);
  });

  it('says that a file is missing, or that it is another one', async () => {
    await expect(readSymbolCrc(join(folder, 'none'), 'module_layout')).rejects.toThrow(MissingError);
    await expect(readSymbolCrc(file, 'absent')).rejects.toThrow(FormatError);
  });
});
