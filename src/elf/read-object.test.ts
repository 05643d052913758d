import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildImage } from '../../test/support/elf-builder.ts';
import { FormatError } from '../diagnostics/error.ts';
import { readObject } from './read-object.ts';
import { writeObject } from './write-object.ts';

/**
 * Sections: 0, 1 .text, 2 .bss, 3 .rela.text, 4 .symtab, 5 .strtab, 6 .shstrtab.
 * Symbols: 0, 1 show, 2 printk. Relocations: one, of `call printk`.
 */
function small(): Uint8Array {
  return writeObject(
    buildImage({
      sections: {
        '.text': { bytes: [0xe8, 0, 0, 0, 0, 0xc3], relocations: [[1, 'PLT32', 'printk', -4]] },
        '.bss': { size: 16, alignment: 8 },
      },
      symbols: { show: { section: '.text', type: 'func', size: 6 } },
    }),
  );
}

/** Little-endian writes into a copy, at places named by what the file says. */
class Patch {
  readonly bytes = small();
  readonly view = new DataView(this.bytes.buffer);

  /** Offset in the file of the contents of a section. */
  contents(section: number): number {
    return Number(this.view.getBigUint64(this.header(section) + 24, true));
  }

  /** Offset in the file of a section header. */
  header(section: number): number {
    return Number(this.view.getBigUint64(40, true)) + 64 * section;
  }

  u8(at: number, value: number): void {
    this.view.setUint8(at, value);
  }

  u16(at: number, value: number): void {
    this.view.setUint16(at, value, true);
  }

  u32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  u64(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, true);
  }
}

const errors: readonly (readonly [string, (patch: Patch) => void, string])[] = [
  ['no ELF file', (p) => p.u8(1, 0), 'at 0x0: not an ELF file: expected 7f 45 4c 46'],
  ['32 bits', (p) => p.u8(4, 1), 'at 0x4: ELF class is 1, expected 2'],
  ['big-endian', (p) => p.u8(5, 2), 'at 0x5: byte order is 2, expected 1'],
  ['another ELF version', (p) => p.u8(6, 2), 'at 0x6: ELF version is 2, expected 1'],
  ['an executable', (p) => p.u16(16, 2), 'at 0x10: file type is 2, expected 1'],
  ['another machine', (p) => p.u16(18, 183), 'at 0x12: machine is 183, expected 62'],
  ['no section headers', (p) => p.u64(40, 0n), 'at 0x28: the file has no section header table'],
  ['headers behind the end', (p) => p.u64(40, 0x500n), 'section header table ends at 0x6c0, file has 0x'],
  ['headers at 2^60', (p) => p.u64(40, 1n << 60n), 'e_shoff is 0x1000000000000000, expected less than 2^53'],
  ['headers at 2^53', (p) => p.u64(40, 1n << 53n), 'e_shoff is 0x20000000000000, expected less than 2^53'],
  ['short headers', (p) => p.u16(58, 40), 'at 0x3a: size of a section header is 40, expected 64'],
  ['too many headers', (p) => p.u16(60, 0x1000), 'section header table ends at 0x40'],
  ['no headers at all', (p) => p.u16(60, 0), 'at 0x3c: the section header table is empty'],
  ['names in no section', (p) => p.u16(62, 9), 'section names are in section 9, file has 7 sections'],
  ['names in .text', (p) => p.u16(62, 1), 'section 1 holds the names, type 1, expected SHT_STRTAB'],
  ['section 0 in use', (p) => p.u32(p.header(0) + 4, 1), 'section 0 has type 1, expected 0'],
  [
    'name behind the names',
    (p) => p.u32(p.header(1), 0x999),
    'the name of section 1 is at 0x999 of a string table of',
  ],
  [
    'contents behind the end',
    (p) => p.u64(p.header(1) + 32, 0x9999n),
    'section 1 ends at 0x99d9, file has 0x',
  ],
  ['alignment', (p) => p.u64(p.header(1) + 48, 12n), 'section 1 has alignment 0xc, expected a power of two'],
  ['link', (p) => p.u32(p.header(3) + 40, 77), 'section 3 links to section 77, file has 7 sections'],
  ['SHT_REL', (p) => p.u32(p.header(3) + 4, 9), 'section 3 is SHT_REL, expected SHT_RELA'],
  ['two symbol tables', (p) => p.u32(p.header(1) + 4, 2), 'found a second symbol table'],
  ['symbol size', (p) => p.u64(p.header(4) + 56, 16n), 'has entries of 16 bytes, expected 24'],
  ['part of a symbol', (p) => p.u64(p.header(4) + 32, 71n), 'has 0x47 bytes, expected a multiple of 24'],
  [
    'symbol names in .text',
    (p) => p.u32(p.header(4) + 40, 1),
    'the symbol table links to section 1, expected a string table',
  ],
  [
    'symbol name outside',
    (p) => p.u32(p.contents(4) + 24, 0x777),
    'the name of symbol 1 is at 0x777 of a string table of',
  ],
  ['symbol name not UTF-8', (p) => p.u8(p.contents(5) + 1, 0xff), 'the name of symbol 1 is not UTF-8'],
  [
    'symbol name without end',
    (p) => p.u8(p.contents(5) + 12, 0x41),
    'the name of symbol 2 has no end in its string table',
  ],
  [
    'symbol in no section',
    (p) => p.u16(p.contents(4) + 30, 7),
    'symbol 1 is in section 7, file has 7 sections',
  ],
  [
    'reserved section',
    (p) => p.u16(p.contents(4) + 30, 0xff20),
    'symbol 1 is in the reserved section 0xff20',
  ],
  [
    'no extended table',
    (p) => p.u16(p.contents(4) + 30, 0xffff),
    'symbol 1 has an extended section index, file has no table',
  ],
  [
    'huge symbol',
    (p) => p.u64(p.contents(4) + 40, 1n << 63n),
    'st_size is 0x8000000000000000, expected less than 2^53',
  ],
  ['relocation of nothing', (p) => p.u32(p.header(3) + 44, 0), 'relocations of section 3 change section 0'],
  [
    'relocation of .bss',
    (p) => p.u32(p.header(3) + 44, 2),
    'relocations of section 3 change section 2, which has no bytes',
  ],
  [
    'relocation symbols',
    (p) => p.u32(p.header(3) + 40, 5),
    'relocations of section 3 use symbols of section 5, not a symbol table',
  ],
  ['relocation type', (p) => p.u32(p.contents(3) + 8, 99), 'relocation 0 of section 3 has unknown type 99'],
  [
    'relocation symbol',
    (p) => p.u32(p.contents(3) + 12, 3),
    'relocation 0 of section 3 uses symbol 3, file has 3 symbols',
  ],
  [
    'relocation behind the end',
    (p) => p.u64(p.contents(3), 3n),
    'R_X86_64_PLT32 at 0x3, ends after section 1, which has 0x6 bytes',
  ],
  [
    'huge addend',
    (p) => p.u64(p.contents(3) + 16, 1n << 60n),
    'r_addend is 0x1000000000000000, expected a magnitude less than 2^53',
  ],
];

describe('readObject', () => {
  it('reads sections, symbols and relocations', () => {
    const object = readObject(small(), 'net/x.o');
    expect(object.path).toBe('net/x.o');
    expect(object.sections.map(({ name }) => name)).toEqual([
      '',
      '.text',
      '.bss',
      '.rela.text',
      '.symtab',
      '.strtab',
      '.shstrtab',
    ]);
    expect(object.sections[1]).toMatchObject({ index: 1, type: 1, flags: 6, size: 6 });
    expect(object.sections[1]?.relocations).toEqual([{ offset: 1, type: 4, symbol: 2, addend: -4 }]);
    expect(object.sections[2]).toMatchObject({ type: 8, size: 16, alignment: 8, data: new Uint8Array(0) });
    expect(object.symbols[1]).toMatchObject({
      name: 'show',
      place: 1,
      value: 0n,
      size: 6,
      type: 2,
      binding: 0,
    });
    expect(object.symbols[2]).toMatchObject({ index: 2, name: 'printk', place: 'undefined', binding: 1 });
  });

  it('does not copy contents', () => {
    const bytes = small();
    for (const input of [bytes, Buffer.from(bytes.buffer)]) {
      const text = readObject(input, 'x.o').sections[1]?.data;
      expect(text?.buffer).toBe(bytes.buffer);
      expect(text?.byteOffset).toBe(64);
      expect(text?.constructor).toBe(Uint8Array);
    }
  });

  it('reads a file that lies somewhere in a larger buffer', () => {
    const bytes = small();
    const larger = new Uint8Array(bytes.length + 3);
    larger.set(bytes, 3);
    const object = readObject(larger.subarray(3), 'x.o');
    expect(object.symbols[2]?.name).toBe('printk');
    expect(object.sections[1]?.data[0]).toBe(0xe8);
  });

  it('sorts relocations by offset, those at one offset in the order of the file', () => {
    const relocations = ['a', 'b', 'c', 'd'].map((name, i) => [8 * i, '64', name] as const);
    const bytes = writeObject(
      buildImage({ sections: { '.data': { bytes: new Uint8Array(32), relocations } } }),
    );
    const view = new DataView(bytes.buffer);
    const header = Number(view.getBigUint64(40, true)) + 64 * 2;
    const table = Number(view.getBigUint64(header + 24, true));
    [24n, 8n, 8n, 0n].forEach((offset, i) => {
      view.setBigUint64(table + 24 * i, offset, true);
    });
    const object = readObject(bytes, 'x.o');
    const names = object.sections[1]?.relocations.map(({ symbol }) => object.symbols[symbol]?.name);
    expect(names).toEqual(['d', 'b', 'c', 'a']);
  });

  it('takes section count and name section from section 0 when they are extended', () => {
    const patch = new Patch();
    patch.u16(60, 0);
    patch.u64(patch.header(0) + 32, 7n);
    patch.u16(62, 0xffff);
    patch.u32(patch.header(0) + 40, 6);
    expect(readObject(patch.bytes, 'x.o').sections.map(({ name, size }) => `${name}:${size}`)[0]).toBe(':0');
    expect(readObject(patch.bytes, 'x.o').sections[6]?.name).toBe('.shstrtab');
  });

  it.each(errors)('refuses %s', (_name, change, message) => {
    const patch = new Patch();
    change(patch);
    expect(() => readObject(patch.bytes, 'net/x.o')).toThrow(
      expect.objectContaining({
        name: 'FormatError',
        code: 'malformed_object',
        message: expect.stringMatching(/^net\/x\.o: at 0x[0-9a-f]+: /),
      }),
    );
    expect(() => readObject(patch.bytes, 'net/x.o')).toThrow(message);
  });

  it('refuses relocation sections that share bytes', () => {
    // Each of many sections claims the same relocations: together more than the file could hold.
    const relocations = Array.from({ length: 64 }, () => [0, '64', 'a'] as const);
    const sections = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [
        `.data${i}`,
        { bytes: new Uint8Array(8), relocations: i === 0 ? relocations : relocations.slice(0, 1) },
      ]),
    );
    const bytes = writeObject(buildImage({ sections }));
    const view = new DataView(bytes.buffer);
    const headers = Number(view.getBigUint64(40, true));
    const first = headers + 64 * 41;
    for (let i = 1; i < 40; i++) {
      view.setBigUint64(first + 64 * i + 24, view.getBigUint64(first + 24, true), true);
      view.setBigUint64(first + 64 * i + 32, view.getBigUint64(first + 32, true), true);
    }
    expect(() => readObject(bytes, 'x.o')).toThrow('bytes in all, more than the file');
  });

  it('refuses an object that is cut off anywhere', () => {
    const bytes = small();
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readObject(bytes.subarray(0, length), 'x.o'), `${length} bytes`).toThrow(FormatError);
    }
  });

  it('throws nothing but FormatError, whatever is overwritten', () => {
    const length = small().length;
    const change = fc.tuple(fc.nat(length - 1), fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff, 8, 17, 18));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const bytes = small();
        for (const [at, value] of changes) bytes[at] = value;
        expectObjectOrFormatError(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('throws nothing but FormatError on random bytes behind a valid beginning', () => {
    fc.assert(
      fc.property(fc.nat(64), fc.uint8Array({ maxLength: 600 }), (kept, rest) => {
        expectObjectOrFormatError(Uint8Array.of(...small().subarray(0, kept), ...rest));
      }),
      { numRuns: 500 },
    );
  });
});

function expectObjectOrFormatError(bytes: Uint8Array): void {
  try {
    readObject(bytes, 'x.o');
  } catch (error) {
    expect(error).toBeInstanceOf(FormatError);
  }
}
