/**
 * Builds a kernel in a test: a vmlinux of a few kilobytes with what a reader of images needs, and the bzImage around
 * it. The addresses are those of a real one.
 */
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHF_WRITE,
  SHT_NOBITS,
  SHT_PROGBITS,
  SHT_STRTAB,
} from '../../src/elf/constants.ts';
import { encodeKallsyms, type TableForm, type TableSymbol } from './kallsyms-encoder.ts';

export interface SectionSpec {
  readonly name: string;
  readonly address: bigint;
  /** Contents, or a size for a section without bytes in the file. */
  readonly contents: Uint8Array | number;
  readonly flags?: number;
}

export const TEXT = 0xffffffff81000000n;
export const RODATA = 0xffffffff82000000n;
export const DATA = 0xffffffff82800000n;
export const BSS = 0xffffffff83000000n;
export const BANNER =
  'Linux version 6.1.0-99-test (someone@example.org (#1)) (gcc-12 12.2.0) #1 SMP Debian 6.1.999-1 (2026-01-01)\n';

export const TODAY: TableForm = { place: 'before', addressing: 'per-cpu', seqs: true };

/** An ELF executable with these sections, each loaded by a segment of its own. */
export function buildVmlinux(sections: readonly SectionSpec[]): Uint8Array {
  const loaded = sections.filter(({ flags = SHF_ALLOC }) => (flags & SHF_ALLOC) !== 0);
  const names = ['', ...sections.map(({ name }) => name), '.shstrtab'];
  const strings = Buffer.from(`${names.join('\0')}\0`, 'latin1');
  const nameOffset = (index: number): number =>
    names.slice(0, index).reduce((sum, name) => sum + name.length + 1, 0);
  let end = 64 + 56 * loaded.length;
  const place = (contents: Uint8Array | number): number => {
    const offset = Math.ceil(end / 16) * 16;
    end = offset + (typeof contents === 'number' ? 0 : contents.length);
    return offset;
  };
  const offsets = [...sections.map(({ contents }) => place(contents)), place(strings)];
  const headers = Math.ceil(end / 8) * 8;
  const file = Buffer.alloc(headers + 64 * (sections.length + 2));

  file.write('\x7fELF\x02\x01\x01', 0, 'latin1');
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(64n, 32);
  file.writeBigUInt64LE(BigInt(headers), 40);
  for (const [at, value] of [
    [52, 64],
    [54, 56],
    [56, loaded.length],
    [58, 64],
    [60, sections.length + 2],
    [62, sections.length + 1],
  ] as const) {
    file.writeUInt16LE(value, at);
  }
  loaded.forEach((section, i) => {
    const at = 64 + 56 * i;
    const { address, contents, flags = SHF_ALLOC } = section;
    file.writeUInt32LE(1, at);
    file.writeUInt32LE(flags & SHF_EXECINSTR ? 5 : 6, at + 4);
    file.writeBigUInt64LE(BigInt(offsets[sections.indexOf(section)] ?? 0), at + 8);
    file.writeBigUInt64LE(address, at + 16);
    const size = typeof contents === 'number' ? contents : contents.length;
    file.writeBigUInt64LE(typeof contents === 'number' ? 0n : BigInt(size), at + 32);
    file.writeBigUInt64LE(BigInt(size), at + 40);
  });
  const header = (index: number, type: number, spec: SectionSpec, offset: number): void => {
    const at = headers + 64 * index;
    const size = typeof spec.contents === 'number' ? spec.contents : spec.contents.length;
    file.writeUInt32LE(nameOffset(index), at);
    file.writeUInt32LE(type, at + 4);
    file.writeBigUInt64LE(BigInt(spec.flags ?? SHF_ALLOC), at + 8);
    file.writeBigUInt64LE(spec.address, at + 16);
    file.writeBigUInt64LE(BigInt(offset), at + 24);
    file.writeBigUInt64LE(BigInt(size), at + 32);
    if (typeof spec.contents !== 'number') file.set(spec.contents, offset);
  };
  sections.forEach((section, i) => {
    const type = typeof section.contents === 'number' ? SHT_NOBITS : SHT_PROGBITS;
    header(i + 1, type, section, offsets[i] ?? 0);
  });
  const strtab = { name: '.shstrtab', address: 0n, contents: strings, flags: 0 };
  header(sections.length + 1, SHT_STRTAB, strtab, offsets[sections.length] ?? 0);
  return file;
}

/** The usual symbols of a kernel: functions in the text, an ambiguous name, per-CPU variables. */
export function kernelSymbols(functions: number): readonly TableSymbol[] {
  const text = Array.from({ length: functions }, (_, i) => ({
    name: i % 9 === 4 ? 'show' : `do_something_${i}`,
    type: i % 3 === 0 ? 'T' : 't',
    address: TEXT + BigInt(16 * i),
  }));
  return [
    { name: 'fixed_percpu_data', type: 'A', address: 0n },
    { name: '__per_cpu_start', type: 'A', address: 0n },
    { name: 'current_task', type: 'A', address: 0x40n },
    { name: '_text', type: 'T', address: TEXT },
    ...text,
    { name: '_etext', type: 'T', address: TEXT + BigInt(16 * functions) },
    { name: 'linux_banner', type: 'D', address: RODATA },
    { name: `long_${'x'.repeat(400)}`, type: 'd', address: DATA },
    { name: 'static_key', type: 'b', address: BSS + 8n },
    { name: '_end', type: 'B', address: BSS + 0x2000n },
  ];
}

/** A vmlinux with these symbols, exporting `exported` (a symbol's name each). */
export function buildKernel(
  symbols: readonly TableSymbol[] = kernelSymbols(40),
  form: TableForm = TODAY,
  exported: readonly string[] = ['do_something_0', 'do_something_3', 'current_task'],
): Uint8Array {
  const text = Uint8Array.from({ length: 0x1000 }, (_, i) => (i * 7) & 0xff);
  const banner = Buffer.alloc(Math.ceil((BANNER.length + 1) / 8) * 8);
  banner.write(BANNER, 'latin1');
  const tables = encodeKallsyms(symbols, form, RODATA + BigInt(banner.length));
  return buildVmlinux([
    { name: '.text', address: TEXT, contents: text, flags: SHF_ALLOC | SHF_EXECINSTR },
    { name: '.rodata', address: RODATA, contents: Buffer.concat([banner, tables.bytes]) },
    ...exportSections(symbols, exported, RODATA + 0x100000n),
    {
      name: '.data',
      address: DATA,
      contents: Buffer.from('writable data, 32 bytes of them.'),
      flags: SHF_ALLOC | SHF_WRITE,
    },
    { name: '.data..percpu', address: 0n, contents: Buffer.alloc(0x80, 0xcc), flags: SHF_ALLOC | SHF_WRITE },
    { name: '.bss', address: BSS, contents: 0x2000, flags: SHF_ALLOC | SHF_WRITE },
    { name: '.comment', address: 0n, contents: Buffer.from('GCC\0'), flags: 0 },
  ]);
}

function exportSections(
  symbols: readonly TableSymbol[],
  exported: readonly string[],
  address: bigint,
): readonly SectionSpec[] {
  const strings = Buffer.from(`\0${exported.map((name) => `${name}\0`).join('')}`, 'latin1');
  const stringsAddress = address + 0x10000n;
  const table = Buffer.alloc(12 * exported.length);
  let name = 1n;
  exported.forEach((each, i) => {
    const place = address + BigInt(12 * i);
    const value = symbols.find((symbol) => symbol.name === each)?.address ?? 0n;
    table.writeInt32LE(Number(BigInt.asIntN(32, value - place)), 12 * i);
    table.writeInt32LE(Number(stringsAddress + name - place - 4n), 12 * i + 4);
    table.writeInt32LE(Number(stringsAddress - place - 8n), 12 * i + 8);
    name += BigInt(each.length + 1);
  });
  return [
    { name: '__ksymtab', address, contents: table },
    { name: '__ksymtab_strings', address: stringsAddress, contents: strings },
  ];
}

/** A bzImage around compressed data; `size` is appended to them as a kernel's build does, unless it is undefined. */
export function buildBootImage(compressed: Uint8Array, size: number | undefined, sectors = 3): Uint8Array {
  const trailer = Buffer.alloc(size === undefined ? 0 : 4);
  if (size !== undefined) trailer.writeUInt32LE(size);
  const start = ((sectors === 0 ? 4 : sectors) + 1) * 0x200;
  const offset = 0x90;
  const file = Buffer.alloc(start + offset + compressed.length + trailer.length + 0x40, 0xee);
  file[0x1f1] = sectors;
  file.writeUInt16LE(0xaa55, 0x1fe);
  file.write('HdrS', 0x202, 'latin1');
  file.writeUInt16LE(0x020f, 0x206);
  file.writeUInt32LE(offset, 0x248);
  file.writeUInt32LE(compressed.length + trailer.length, 0x24c);
  file.set(compressed, start + offset);
  file.set(trailer, start + offset + compressed.length);
  return file;
}
