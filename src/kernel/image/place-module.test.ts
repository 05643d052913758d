import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord, type SectionRecord } from '../../../test/support/elf-builder.ts';
import { SHF_ALLOC, SHF_WRITE } from '../../elf/constants.ts';
import { toAddress } from '../address.ts';
import { Memory } from './memory.ts';
import { layoutModule } from './module-layout.ts';
import { type PlacedModule, placeModule } from './place-module.ts';

const PLACE = {
  base: toAddress(0xffffffffc0000000n),
  initBase: toAddress(0xffffffffc0100000n),
  perCpuBase: toAddress(0x34000n),
};
const PRINTK = 0xffffffff81100000n;
const resolve = (name: string): ReturnType<typeof toAddress> | undefined =>
  name === '_printk' ? toAddress(PRINTK) : undefined;

function place(record: ObjectRecord): PlacedModule {
  return placeModule(buildObject(record, 'm.ko'), 'm', PLACE, resolve);
}
function memoryOf(placed: PlacedModule): Memory {
  const memory = new Memory();
  for (const region of placed.regions) memory.add(region);
  return memory;
}
const offsets = (record: ObjectRecord): Record<string, number> => {
  const object = buildObject(record, 'm.ko');
  const { core, init } = layoutModule(object);
  return Object.fromEntries(
    [...core, ...init].map(([index, offset]) => [object.sections[index]?.name ?? '', offset]),
  );
};
const writable = { flags: SHF_ALLOC | SHF_WRITE };

/** An object with so many symbols in its text. */
function withSymbols(
  sections: Readonly<Record<string, SectionRecord>>,
  count: number,
): ReturnType<typeof buildObject> {
  const names = Array.from({ length: count }, (_, i) => [`f${i}`, { section: '.text' }] as const);
  return buildObject({ sections, symbols: Object.fromEntries(names) });
}
/** An object that needs a symbol which nothing exports. */
const needing = (binding: 'global' | 'weak'): ObjectRecord => ({
  sections: { '.text': { bytes: new Uint8Array(8), relocations: [[0, '64', 'nobody_has_it', 0]] } },
  symbols: { nobody_has_it: { binding } },
});

describe('layoutModule', () => {
  const sections: Record<string, SectionRecord> = {
    '.data': { bytes: [1, 2, 3], alignment: 32 },
    '.init.text': { bytes: [4] },
    '.modinfo': { bytes: [0] },
    '.rodata': { bytes: [5], alignment: 8 },
    '.data..ro_after_init': { bytes: [6], ...writable },
    '.text': { bytes: [7, 7], alignment: 16 },
    '.exit.text': { bytes: [8], flags: 6 },
    '.bss': { size: 0x1001, alignment: 64 },
    __jump_table: { bytes: [9], alignment: 8, ...writable },
    '.text.unlikely': { bytes: [7], alignment: 16 },
    '.data..percpu': { bytes: [1], ...writable },
    '.init.data': { bytes: [2, 2], ...writable },
    '.comment': { bytes: [3], flags: 0 },
  };

  it('puts text, read-only, read-only after init and writable data on pages of their own, in the order of the file', () => {
    expect(offsets({ sections })).toEqual({
      '.text': 0,
      '.exit.text': 2,
      '.text.unlikely': 0x10,
      '.rodata': 0x1000,
      '.data..ro_after_init': 0x2000,
      __jump_table: 0x2008,
      '.data': 0x3000,
      '.bss': 0x3040,
      '.init.text': 0,
      '.init.data': 0x1000,
    });
  });

  it('counts the symbols that the loader keeps', () => {
    // .bss ends at 0x4041, so at 0x5000. A symbol takes 24 bytes, a letter, its name and a NUL; symbol 0 too.
    expect(layoutModule(withSymbols(sections, 0))).toMatchObject({
      sectionsSize: 0x5000,
      coreSize: 0x6000,
      initSize: 0x2000,
    });
    expect(layoutModule(withSymbols(sections, 139)).coreSize).toBe(0x6000);
    expect(layoutModule(withSymbols(sections, 140)).coreSize).toBe(0x7000);
  });

  it.each([
    ['a section', '.bss', 0x4000_0000],
    ['per-CPU data', '.data..percpu', 0x10_0001],
  ])('%s larger than memory has room for: malformed_object', (_, name, size) => {
    expect(() => layoutModule(buildObject({ sections: { [name]: { size, ...writable } } }, 'm.ko'))).toThrow(
      /^m\.ko: .* of the module, expected 0x\d+ at most/,
    );
  });
});

describe('placeModule', () => {
  it('relocates each kind of field', () => {
    const memory = memoryOf(
      place({
        sections: {
          '.text': {
            bytes: new Uint8Array(40),
            relocations: [
              [0, 'PLT32', '_printk', -4],
              [4, 'PC32', 'variable', 2],
              [8, '32S', 'variable', 8],
              [16, '64', 'starts', 0],
              [24, 'PC32', 'counter', -4],
              [28, '32S', 'counter', 4],
              [32, 'PC64', '_printk', 0],
            ],
          },
          '.data': { bytes: new Uint8Array(16), relocations: [[8, '64', '.data', 3]] },
          '.init.text': { bytes: [0xc3] },
          '.data..percpu': {
            bytes: new Uint8Array(16),
            ...writable,
            relocations: [[8, '64', 'counter', 0]],
          },
        },
        symbols: {
          variable: { section: '.data', value: 4 },
          starts: { section: '.init.text' },
          counter: { section: '.data..percpu', value: 8 },
        },
      }),
    );
    const at = (address: bigint, size: number): bigint => {
      const bytes = Buffer.from(memory.read(toAddress(address), size));
      return size === 8 ? bytes.readBigUInt64LE() : BigInt(bytes.readInt32LE());
    };
    const text = PLACE.base;
    expect(at(text, 4)).toBe(PRINTK - 4n - text);
    expect(at(text + 4n, 4)).toBe(0x1004n + 2n - 4n);
    expect(at(text + 8n, 4)).toBe(BigInt.asIntN(32, text + 0x1004n + 8n));
    expect(at(text + 16n, 8)).toBe(PLACE.initBase);
    expect(at(text + 24n, 4)).toBe(BigInt.asIntN(64, 0x34008n - 4n - (text + 24n)));
    expect(at(text + 28n, 4)).toBe(0x3400cn);
    expect(at(text + 32n, 8)).toBe(BigInt.asUintN(64, PRINTK - (text + 32n)));
    expect(at(text + 0x1008n, 8)).toBe(text + 0x1003n);
    expect(at(0x34008n, 8)).toBe(0x34008n);
  });

  it('leaves the file as it is', () => {
    const object = buildObject({
      sections: { '.text': { bytes: new Uint8Array(8), relocations: [[0, '64', '.text', 0]] } },
    });
    placeModule(object, 'm', PLACE, resolve);
    expect(object.sections[1]?.data).toEqual(new Uint8Array(8));
  });

  it('has no memory for the init part', () => {
    const placed = place({ sections: { '.text': { bytes: [1] }, '.init.text': { bytes: [2] } } });
    expect(() => memoryOf(placed).read(PLACE.initBase, 1)).toThrow(/no kernel memory/);
  });

  it('names its symbols as /proc/kallsyms does', () => {
    const { symbols } = place({
      sections: {
        '.text': { bytes: [1, 2, 3] },
        '.init.text': { bytes: [2] },
        '.rodata': { bytes: [3] },
        '.data': { bytes: [3, 4] },
        '.bss': { size: 1 },
        '.data..percpu': { bytes: [1], ...writable },
        '.comment': { bytes: [1], flags: 0 },
        __ksymtab: {
          bytes: new Uint8Array(12),
          relocations: [
            [0, 'PC32', 'go', 0],
            [4, 'PC32', '__ksymtab_strings', 1],
          ],
        },
        __ksymtab_gpl: {
          bytes: new Uint8Array(12),
          relocations: [
            [0, 'PC32', 'stop', 0],
            [4, 'PC32', '__ksymtab_strings', 4],
          ],
        },
        __ksymtab_strings: { bytes: Buffer.from('\0go\0stop\0') },
      },
      symbols: {
        constant: { section: '.rodata' },
        variable: { section: '.data', value: 1 },
        zero: { section: '.bss' },
        counter: { section: '.data..percpu' },
        start: { section: '.init.text' },
        version: { section: '.comment' },
        fixed: { value: 5 },
        go: { section: '.text', binding: 'global', type: 'func' },
        stop: { section: '.text', value: 1, binding: 'global', type: 'func' },
        weak: { section: '.text', value: 2, binding: 'weak', type: 'func' },
        weak_object: { section: '.data', binding: 'weak', type: 'object' },
        _printk: {},
      },
    });
    const rows = symbols.names.map((name, i) => `${symbols.types[i]} ${name}`);
    expect(rows).toEqual([
      'r constant',
      'd variable',
      'b zero',
      'a counter',
      'T go',
      't stop',
      'w weak',
      'v weak_object',
    ]);
    expect(symbols.addresses[1]).toBe(PLACE.base + 0x2001n);
    expect(symbols.addresses[3]).toBe(PLACE.perCpuBase);
  });

  it('tells what it exports', () => {
    const placed = place({
      sections: {
        '.text': { bytes: [1, 2] },
        __ksymtab_gpl: {
          bytes: new Uint8Array(12),
          relocations: [
            [0, 'PC32', 'stop', 0],
            [4, 'PC32', '__ksymtab_strings', 0],
          ],
        },
        __ksymtab_strings: { bytes: Buffer.from('stop\0') },
      },
      symbols: { stop: { section: '.text', value: 1 } },
    });
    expect([...placed.exports]).toEqual([['stop', PLACE.base + 1n]]);
  });

  it('an undefined symbol that nothing exports is named, with its module; a weak one is zero', () => {
    expect(() => place(needing('global'))).toThrow(/^m: needs the symbol nobody_has_it, which neither/);
    expect(() => place(needing('global'))).toThrow(
      expect.objectContaining({ code: 'failed_to_find', exitCode: 4 }),
    );
    expect([...memoryOf(place(needing('weak'))).read(PLACE.base, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it.each([
    ['a place that is not zero', [1, 0, 0, 0], [0, 'PC32', '_printk', 0], /the place is not zero/],
    ['an absolute field that overflows', [0, 0, 0, 0], [0, '32', '.text', 0], /R_X86_64_32 .* overflows/],
    [
      'a distance that overflows',
      [0, 0, 0, 0],
      [0, 'PC32', 'far', 0],
      /R_X86_64_PC32 against far: overflows/,
    ],
    ['a kind that modules do not have', [0, 0, 0, 0], [0, 'GOTPCREL', '_printk', 0], /does not know it/],
    [
      'a symbol of a section that is not loaded',
      [0, 0, 0, 0],
      [0, 'PC32', '.comment', 0],
      /not in a section that is loaded/,
    ],
  ] as const)('%s: malformed_object with the place', (_, bytes, relocation, message) => {
    const act = (): unknown =>
      place({
        sections: { '.text': { bytes, relocations: [relocation] }, '.comment': { bytes: [1], flags: 0 } },
        symbols: { far: { value: 0x1234_5678_0000n } },
      });
    expect(act).toThrow(message);
    expect(act).toThrow(expect.objectContaining({ code: 'malformed_object', exitCode: 65 }));
  });

  it('an export without a name is malformed', () => {
    expect(() => place({ sections: { __ksymtab: { bytes: new Uint8Array(12) } } })).toThrow(
      /__ksymtab\+0x0: the export has no name/,
    );
  });
});
