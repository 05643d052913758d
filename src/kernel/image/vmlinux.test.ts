import { describe, expect, it } from 'vitest';
import { BSS, buildKernel, buildVmlinux, DATA, RODATA, TEXT } from '../../../test/fuzz/kernel-image.ts';
import { SHF_ALLOC, SHT_NOBITS } from '../../elf/constants.ts';
import { readVmlinux } from './vmlinux.ts';

const HEADER = { type: 16, machine: 18, segments: 64, sectionCount: 60, names: 62 };

function edited(edit: (file: Buffer) => void): () => unknown {
  const file = Buffer.from(buildKernel());
  edit(file);
  return () => readVmlinux(file, 'vmlinux');
}

describe('readVmlinux', () => {
  it('reads sections and segments, with their contents', () => {
    const { sections, segments } = readVmlinux(buildKernel(), 'vmlinux');
    const named = (name: string): (typeof sections)[number] | undefined =>
      sections.find((each) => each.name === name);
    expect(named('.data')?.address).toBe(DATA);
    expect(Buffer.from(named('.data')?.data ?? []).toString()).toMatch(/^writable data/);
    expect(named('.bss')).toMatchObject({ type: SHT_NOBITS, address: BSS, size: 0x2000 });
    expect(named('.bss')?.data.length).toBe(0);
    expect(segments.map(({ address }) => address)).toContain(0n);
    const bss = segments.find(({ address }) => address === BSS);
    expect(bss).toMatchObject({ size: 0x2000 });
    expect(bss?.data.length).toBe(0);
  });

  it.each([
    ['no ELF file', (file: Buffer) => file.write('MZ'), /neither a compressed kernel nor an ELF file/],
    ['an object file', (file: Buffer) => file.writeUInt16LE(1, HEADER.type), /file type is 1, expected 2/],
    ['another machine', (file: Buffer) => file.writeUInt16LE(183, HEADER.machine), /machine is 183/],
    ['no sections', (file: Buffer) => file.writeUInt16LE(0, HEADER.sectionCount), /no sections/],
    [
      'names in no section',
      (file: Buffer) => file.writeUInt16LE(99, HEADER.names),
      /names are in section 99/,
    ],
    [
      'a segment that is not in the file',
      (file: Buffer) => file.writeBigUInt64LE(1n << 40n, HEADER.segments + 8),
      /segment 0 ends at 0x1000000.* file has/,
    ],
    [
      'a segment in user space',
      (file: Buffer) => file.writeBigUInt64LE(0x400000n, HEADER.segments + 16),
      /segment 0 is at 0x400000, expected the kernel's addresses/,
    ],
    [
      'two segments at one address',
      (file: Buffer) => file.writeBigUInt64LE(RODATA + 8n, HEADER.segments + 16),
      /segment 1 overlaps/,
    ],
    [
      'a section in no segment',
      (file: Buffer) => file.writeBigUInt64LE(TEXT + 0x10000n, HEADER.segments + 16),
      /\(\.text\) at 0xffffffff81000000 is in no segment/,
    ],
    [
      'a segment with other bytes than its section',
      (file: Buffer) =>
        file.writeBigUInt64LE(file.readBigUInt64LE(HEADER.segments + 8) + 16n, HEADER.segments + 8),
      /\(\.text\) .* is in no segment/,
    ],
  ] as const)('%s: malformed_image with the place', (_, edit, message) => {
    expect(edited(edit)).toThrow(message);
    expect(edited(edit)).toThrow(expect.objectContaining({ code: 'malformed_image', exitCode: 65 }));
  });

  it('a file that is cut off anywhere', () => {
    const file = buildKernel();
    for (let size = 0; size < file.length; size += 61) {
      expect(() => readVmlinux(file.subarray(0, size), 'vmlinux'), String(size)).toThrow(/^vmlinux: at 0x/);
    }
  });

  it('a file in which nothing is loaded', () => {
    const file = buildVmlinux([{ name: '.comment', address: 0n, contents: Buffer.from('x'), flags: 0 }]);
    expect(() => readVmlinux(file, 'vmlinux')).toThrow(/no segment of the file is loaded/);
    expect(SHF_ALLOC).toBe(2);
  });
});
