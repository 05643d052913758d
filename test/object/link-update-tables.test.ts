/**
 * The tables for the core, read back by the compiler's own view of core/ksplice.h: the module is written in
 * TypeScript and read by C, and nothing else keeps the two together.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ObjectFile } from '../../src/elf/model.ts';
import { toAddress } from '../../src/kernel/address.ts';
import { HOOK_KINDS } from '../../src/kernel/tables/hooks.ts';
import { type HookCall, type Trampoline, updateTables } from '../../src/link/update-tables.ts';
import { openWorkshop } from '../support/compile.ts';

const fields = {
  ksplice_range: ['start', 'size', 'flags', 'body', 'mask'],
  ksplice_hook: ['kind', 'reserved', 'name', 'function'],
  ksplice_function: ['name', 'new_addr', 'ranges', 'nr_ranges', 'site_offset', 'site_size', 'reserved'],
} as const;
type Struct = keyof typeof fields;

/** Offset of each field, and under '.' the size of the whole; the number of each kind of hook. */
function layoutInC(): Readonly<Record<Struct | 'kind', Readonly<Record<string, number>>>> {
  using workshop = openWorkshop();
  const header = readFileSync(new URL('../../core/ksplice.h', import.meta.url), 'utf8');
  workshop.write('ksplice.h', header.replace('#include <linux/types.h>', ''));
  const lines = Object.entries(fields).flatMap(([struct, names]) => [
    `printf("${struct} . %zu\\n", sizeof(struct ${struct}));`,
    ...names.map((name) => `printf("${struct} ${name} %zu\\n", offsetof(struct ${struct}, ${name}));`),
  ]);
  const kinds = HOOK_KINDS.map((kind) => `printf("kind ${kind} %d\\n", KSPLICE_HOOK_${kind.toUpperCase()});`);
  workshop.write(
    'layout.c',
    `#include <stdio.h>\n#include <stddef.h>\ntypedef unsigned char u8;\ntypedef unsigned int u32;
#define BIT(n) (1UL << (n))\n#include "ksplice.h"\nint main(void) {
printf("flag entry %lu\\nflag resident %lu\\n", KSPLICE_RANGE_ENTRY, KSPLICE_UPDATE_RESIDENT);
${[...lines, ...kinds].join('\n')}\nreturn 0; }\n`,
  );
  workshop.run('gcc', '-Wall', '-Werror', '-o', 'layout', 'layout.c');
  const result: Record<string, Record<string, number>> = {
    ksplice_range: {},
    ksplice_function: {},
    ksplice_hook: {},
    kind: {},
    flag: {},
  };
  for (const line of workshop.run('./layout').trim().split('\n')) {
    const [struct = '', name = '', value] = line.split(' ');
    (result[struct] ??= {})[name] = Number(value);
  }
  expect(result['flag']).toEqual({ entry: 1, resident: 1 });
  return {
    ksplice_range: result['ksplice_range'] ?? {},
    ksplice_function: result['ksplice_function'] ?? {},
    ksplice_hook: result['ksplice_hook'] ?? {},
    kind: result['kind'] ?? {},
  };
}

const layout = layoutInC();

/** Reads the emitted object as the core will. */
class Reader {
  readonly #object: ObjectFile;
  readonly data: Buffer;

  constructor(object: ObjectFile) {
    this.#object = object;
    const section = object.sections.find(({ name }) => name === '.rodata.ksplice');
    this.data = Buffer.from(section?.data ?? []);
  }

  symbol(name: string): number {
    const found = this.#object.symbols.filter((each) => each.name === name && typeof each.place === 'number');
    expect(found.length, name).toBe(1);
    return Number(found[0]?.value);
  }

  /** What a pointer at an offset points to: an offset in the section, or an undefined symbol's name. */
  pointer(at: number): number | string {
    const section = this.#object.sections.find(({ name }) => name === '.rodata.ksplice');
    const found = section?.relocations.filter(({ offset }) => offset === at) ?? [];
    expect(found.length, `relocations at ${at}`).toBe(1);
    const [relocation] = found;
    const symbol = relocation === undefined ? undefined : this.#object.symbols[relocation.symbol];
    if (relocation === undefined || symbol === undefined) throw new Error('no symbol');
    expect(relocation.type).toBe(1);
    return symbol.place === 'undefined' ? symbol.name : Number(symbol.value) + relocation.addend;
  }

  field(struct: Struct, at: number, name: string): number {
    const offset = layout[struct][name];
    if (offset === undefined) throw new Error(`${struct}.${name}`);
    return at + offset;
  }

  text(at: number | string): string {
    if (typeof at === 'string') throw new Error(at);
    return this.data.toString('latin1', at, this.data.indexOf(0, at));
  }
}

const trampolines: readonly Trampoline[] = [
  {
    name: 'pipe_read',
    replacement: '0:pipe_read',
    ranges: [
      {
        start: toAddress(0xffffffff81234567n),
        hasEntry: true,
        body: Uint8Array.of(1, 2, 3, 4, 5, 6, 7),
        mask: Uint8Array.of(0, 0, 0, 0, 0, 0xff, 0xff),
      },
      {
        start: toAddress(0xffffffff81f00001n),
        hasEntry: false,
        body: Uint8Array.of(9, 8),
        mask: Uint8Array.of(0xff, 0xff),
      },
    ],
    siteOffset: 5,
    siteSize: 6,
  },
  {
    name: 'f',
    replacement: '1:f',
    ranges: [
      {
        start: toAddress(0xffffffffc0000010n),
        hasEntry: true,
        body: Uint8Array.from({ length: 300 }, (_, i) => i & 0xff),
        mask: new Uint8Array(300).fill(0xff),
      },
    ],
    siteOffset: 0,
    siteSize: 5,
  },
];

const hooks: readonly HookCall[] = [
  { kind: 'pre_apply', name: 'look_first', function: '0:look_first' },
  { kind: 'fail_reverse', name: 'give_back', function: '1:give_back' },
];

describe('updateTables', () => {
  it.each([true, false])('is what core/ksplice.h declares; resident: %s', (resident) => {
    const reader = new Reader(updateTables('fix_1', { trampolines, hooks, resident }));
    expect(reader.text(reader.symbol('ksplice_update_id'))).toBe('fix_1');
    expect(reader.data.readUInt32LE(reader.symbol('ksplice_update_nr_functions'))).toBe(2);
    expect(reader.data.readUInt32LE(reader.symbol('ksplice_update_flags'))).toBe(resident ? 1 : 0);

    expect(reader.data.readUInt32LE(reader.symbol('ksplice_update_nr_hooks'))).toBe(2);
    hooks.forEach((hook, i) => {
      const at = reader.symbol('ksplice_update_hooks') + i * (layout.ksplice_hook['.'] ?? 0);
      const field = (name: string): number => reader.field('ksplice_hook', at, name);
      expect(reader.data.readUInt32LE(field('kind'))).toBe(layout.kind[hook.kind]);
      expect(reader.data.readUInt32LE(field('reserved'))).toBe(0);
      expect(reader.text(reader.pointer(field('name')))).toBe(hook.name);
      expect(reader.pointer(field('function'))).toBe(hook.function);
    });

    const first = reader.symbol('ksplice_update_functions');
    trampolines.forEach((trampoline, i) => {
      const at = first + i * (layout.ksplice_function['.'] ?? 0);
      const field = (name: string): number => reader.field('ksplice_function', at, name);
      expect(reader.text(reader.pointer(field('name')))).toBe(trampoline.name);
      expect(reader.pointer(field('new_addr'))).toBe(trampoline.replacement);
      expect(reader.data.readUInt32LE(field('nr_ranges'))).toBe(trampoline.ranges.length);
      expect(reader.data.readUInt32LE(field('site_offset'))).toBe(trampoline.siteOffset);
      expect(reader.data.readUInt32LE(field('site_size'))).toBe(trampoline.siteSize);
      expect(reader.data.readUInt32LE(field('reserved'))).toBe(0);
      const ranges = reader.pointer(field('ranges'));
      if (typeof ranges === 'string') throw new Error(ranges);
      trampoline.ranges.forEach((range, j) => {
        const start = ranges + j * (layout.ksplice_range['.'] ?? 0);
        const part = (name: string): number => reader.field('ksplice_range', start, name);
        expect(reader.data.readBigUInt64LE(part('start'))).toBe(range.start);
        expect(reader.data.readUInt32LE(part('size'))).toBe(range.body.length);
        expect(reader.data.readUInt32LE(part('flags'))).toBe(range.hasEntry ? 1 : 0);
        for (const [name, bytes] of [
          ['body', range.body],
          ['mask', range.mask],
        ] as const) {
          const from = Number(reader.pointer(part(name)));
          expect([...reader.data.subarray(from, from + bytes.length)]).toEqual([...bytes]);
        }
      });
    });
  });

  it('leads to ranges from the old function, where its address is not known', () => {
    const object = updateTables('fix_1', {
      trampolines: trampolines.map((each, i) => ({ ...each, old: `old:${i}` })),
      hooks,
      resident: false,
    });
    const section = object.sections.find(({ name }) => name === '.rodata.ksplice');
    const starts = (section?.relocations ?? []).flatMap(({ symbol, addend }) => {
      const { name = '' } = object.symbols[symbol] ?? {};
      return name.startsWith('old:') ? [`${name}+${addend.toString(16)}`] : [];
    });
    expect(starts).toEqual(['old:0+0', 'old:0+ccba9a', 'old:1+0']);
  });

  it('puts structures where a compiler would: aligned to 8 bytes', () => {
    const reader = new Reader(updateTables('a', { trampolines, hooks, resident: false }));
    expect(reader.symbol('ksplice_update_functions') % 8).toBe(0);
    expect(reader.symbol('ksplice_update_nr_functions') % 4).toBe(0);
    expect(reader.symbol('ksplice_update_flags') % 4).toBe(0);
  });
});
