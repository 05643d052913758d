import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import type { FakeKernel, LoadedObject } from '../../test/support/fake-kernel.ts';
import { hexToBytes } from '../../test/support/hex-table.ts';
import type { Boot } from '../../test/support/kernel-boot.ts';
import { bytesOf32 } from '../../test/support/kernel-code.ts';
import { addresses, smallKernel } from '../../test/support/small-kernel.ts';
import { SHF_ALLOC, SHF_MERGE } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import { matchUnit } from './match-unit.ts';
import { matchedSections, namesToLookUp } from './text-sections.ts';

const TEXT = 0xffffffff81234000n;
const DATA = 0xffffffff82345000n;

/**
 *  0 first:   call __fentry__; mov counter,%eax; mov $.LC0,%rdi; call printk; jmp __x86_return_thunk
 * 1b second:  incl %gs:state(%rip); call first; cmpq $0,limit(%rip); jne second.cold; ret
 * .text.unlikely: second.cold: jmp second+0x17
 */
const record: ObjectRecord = {
  sections: {
    '.text': {
      bytes: hexToBytes(
        'e8 00 00 00 00 8b 04 25 00 00 00 00 48 c7 c7 00 00 00 00 e8 00 00 00 00 e9 00 00 00 00 cc 90 90' +
          ' 65 ff 05 00 00 00 00 e8 db ff ff ff 48 83 3d 00 00 00 00 00 0f 85 00 00 00 00 c3 cc',
      ),
      relocations: [
        [1, 'PLT32', '__fentry__', -4],
        [8, '32S', '.bss', 4],
        [15, '32S', '.rodata.str1.1', 6],
        [20, 'PLT32', 'printk', -4],
        [25, 'PLT32', '__x86_return_thunk', -4],
        [35, 'PC32', '.data..percpu', -4],
        [47, 'PC32', 'limit', -5],
        [54, 'PC32', '.text.unlikely', -4],
      ],
    },
    '.text.unlikely': { bytes: hexToBytes('e9 00 00 00 00'), relocations: [[1, 'PC32', '.text', 0x36]] },
    '.bss': { size: 16 },
    '.data': { bytes: [7, 0, 0, 0, 0, 0, 0, 0] },
    '.data..percpu': { bytes: [0, 0, 0, 0] },
    '.rodata.str1.1': { bytes: [...Buffer.from('other\0%d is on\0')] },
    __mcount_loc: { bytes: Array.from({ length: 8 }, () => 0), relocations: [[0, '64', '.text', 0]] },
    '.return_sites': { bytes: [0, 0, 0, 0], relocations: [[0, 'PC32', '.text', 24]] },
  },
  symbols: {
    first: { section: '.text', type: 'func', size: 30 },
    second: { section: '.text', value: 32, type: 'func', size: 27, binding: 'global' },
    'second.cold': { section: '.text.unlikely', type: 'func', size: 5 },
    counter: { section: '.bss', value: 4, type: 'object', size: 4 },
    'calls.0': { section: '.bss', value: 8, type: 'object', size: 4 },
    state: { section: '.data..percpu', type: 'object', size: 4 },
    limit: { section: '.data', type: 'object', size: 8, binding: 'global' },
  },
};

const bases = {
  '.text': TEXT,
  '.text.unlikely': 0xffffffff81f80000n,
  '.bss': DATA,
  '.data': DATA + 0x1000n,
  '.data..percpu': 0x1d040n,
};

interface Scene {
  readonly object: ObjectFile;
  readonly kernel: FakeKernel;
  readonly loaded: LoadedObject;
  readonly outcome: () => string;
}

function outcomeOf(object: ObjectFile, kernel: FakeKernel): string {
  const result = matchUnit(object, kernel);
  if (result.kind === 'match') return 'match';
  const { mismatch } = result;
  return mismatch.kind === 'code'
    ? `${mismatch.name}+${mismatch.offset}`
    : `${mismatch.name}: found ${mismatch.found}, expected ${mismatch.expected}`;
}

function scene(changes: Partial<ObjectRecord['sections']> = {}, boot: Boot = {}): Scene {
  const object = buildObject({ ...record, sections: { ...record.sections, ...defined(changes) } });
  const kernel = smallKernel();
  const loaded = kernel.load(object, bases, boot);
  return { object, kernel, loaded, outcome: () => outcomeOf(object, kernel) };
}

function defined(sections: Partial<ObjectRecord['sections']>): ObjectRecord['sections'] {
  return Object.fromEntries(Object.entries(sections).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])));
}

const hexOf = (value: bigint | undefined): string | undefined => value?.toString(16);

describe('matchUnit, a unit that is in the kernel', () => {
  it('learns where everything is', () => {
    const { object, kernel } = scene({}, { returns: 'thunk', traced: addresses.ftrace_caller });
    const result = matchUnit(object, kernel);
    if (result.kind !== 'match') throw new Error(outcomeOf(object, kernel));
    const found = [...result.bases].map(([section, base]) => [object.sections[section]?.name, hexOf(base)]);
    expect(Object.fromEntries(found)).toEqual(
      Object.fromEntries(Object.entries(bases).map(([name, base]) => [name, hexOf(base)])),
    );
    expect([...result.values].map(([name, value]) => [name, hexOf(value)])).toEqual([
      ['printk', hexOf(addresses.printk)],
      ['limit', hexOf(DATA + 0x1000n)],
    ]);
    expect([...result.explained]).toEqual([
      ['fentry: traced', 1],
      ['return: thunk', 1],
    ]);
    expect(result.compared).toBe(60 + 5);
  });

  it('keeps the bytes that run', () => {
    const { object, kernel, loaded } = scene();
    const result = matchUnit(object, kernel);
    if (result.kind !== 'match') throw new Error('no match');
    for (const [index, { base, run }] of result.text) {
      expect(Buffer.compare(run, kernel.read(base, run.length))).toBe(0);
      expect(base).toBe(loaded.base(object.sections[index]?.name ?? ''));
    }
    expect(result.text.size).toBe(2);
  });

  it('asks kallsyms once, for all that it needs', () => {
    const { object, kernel } = scene();
    matchUnit(object, kernel);
    const asked = new Set(kernel.prefetched);
    const needed = ['first', 'second', 'second.cold', 'printk', 'limit', 'counter', 'state', 'pv_ops'];
    expect(needed.filter((name) => !asked.has(name))).toEqual([]);
    expect(asked.has('calls.0')).toBe(false);
    expect(namesToLookUp(object, 'vmlinux')).toEqual(kernel.prefetched);
  });

  it('compares neither what is gone after boot nor what only tables refer to', () => {
    const code = { bytes: [0xc3], flags: 6 };
    const object = buildObject({
      sections: {
        '.text': code,
        '.init.text': code,
        '.exit.text': code,
        '.altinstr_replacement': code,
        '.altinstr_aux': code,
        '.static_call.text': code,
        '.noinstr.text': code,
        '.ref.text': code,
        '.text.unlikely': { bytes: [], flags: 6 },
        '.data': { bytes: [1] },
      },
    });
    expect(matchedSections(object, 'vmlinux').map(({ name }) => name)).toEqual([
      '.text',
      '.noinstr.text',
      '.ref.text',
    ]);
  });
});

describe('matchUnit, bytes', () => {
  it('any byte outside relocated fields and places, changed, is a mismatch at that function and offset', () => {
    const { object, kernel, outcome } = scene();
    const fields = new Set<string>();
    for (const { name, relocations } of object.sections) {
      for (const { offset } of relocations)
        for (let i = 0; i < 4; i += 1) fields.add(`${name}+${offset + i}`);
    }
    const places = new Set([0, 1, 2, 3, 4, 24, 25, 26, 27, 28].map((offset) => `.text+${offset}`));
    let tried = 0;
    for (const name of ['.text', '.text.unlikely'] as const) {
      const size = object.sections.find((each) => each.name === name)?.size ?? 0;
      for (let offset = 0; offset < size; offset += 1) {
        if (fields.has(`${name}+${offset}`) || places.has(`${name}+${offset}`)) continue;
        const at = bases[name] + BigInt(offset);
        const owner = name !== '.text' ? 'second.cold' : offset < 32 ? 'first' : 'second';
        const [before = 0] = kernel.read(toAddress(at), 1);
        for (const change of [0x01, 0x80, 0xff]) {
          kernel.write(at, [before ^ change]);
          expect(outcome()).toBe(`${owner}+${owner === 'second' ? offset - 32 : offset}`);
          tried += 1;
        }
        kernel.write(at, [before]);
      }
    }
    expect(tried).toBe(3 * (60 - 10 - 24 + 1));
    expect(outcome()).toBe('match');
  });

  it('any byte of a relocated field, changed, is a mismatch', () => {
    const { object, kernel, outcome } = scene();
    for (const name of ['.text', '.text.unlikely'] as const) {
      for (const { offset } of object.sections.find((each) => each.name === name)?.relocations ?? []) {
        for (let i = 0; i < 4; i += 1) {
          const at = bases[name] + BigInt(offset + i);
          const [before = 0] = kernel.read(toAddress(at), 1);
          kernel.write(at, [before ^ 0x04]);
          expect(outcome(), `${name}+${offset + i}`).not.toBe('match');
          kernel.write(at, [before]);
        }
      }
    }
    expect(outcome()).toBe('match');
  });

  it('reads again before it believes a difference', () => {
    const { object, kernel, loaded } = scene();
    const place = loaded.at('first', 5);
    let reads = 0;
    const read = kernel.read.bind(kernel);
    // As if the kernel were in the midst of rewriting: an INT3 for the first two reads.
    kernel.read = (at: Address, size: number): Uint8Array => {
      const bytes = read(at, size);
      const offset = Number(place - at);
      if (offset >= 0 && offset < size && (reads += 1) <= 2) bytes[offset] = 0xcc;
      return bytes;
    };
    expect(outcomeOf(object, kernel)).toBe('match');
    expect(reads).toBe(3);
  });

  it('reports function, section, bytes of both sides and the kind of place', () => {
    const { object, kernel, loaded } = scene();
    kernel.write(loaded.at('second', 7), [0xcc]);
    const result = matchUnit(object, kernel);
    expect(result).toMatchObject({
      kind: 'mismatch',
      mismatch: {
        kind: 'code',
        unit: 'test.o',
        name: 'second',
        offset: 7,
        sectionOffset: 39,
        start: TEXT + 32n,
      },
    });
    if (result.kind !== 'mismatch' || result.mismatch.kind !== 'code') throw new Error('no mismatch');
    expect(result.mismatch.place).toBeUndefined();
    expect(result.mismatch.found[7]).toBe(0xcc);
    expect(result.mismatch.expected[7]).toBe(0xe8);
    expect(result.mismatch.found.length).toBe(27);
  });
});

describe('matchUnit, references', () => {
  it('a named symbol at an address that kallsyms does not have for it', () => {
    const { kernel, outcome } = scene();
    kernel.forget('printk');
    kernel.define('printk', addresses.printk + 0x10n);
    expect(outcome()).toMatch(/^printk: .*expected printk as kallsyms lists it/);
    kernel.forget('printk');
    expect(outcome()).toMatch(/^printk: .*expected a symbol that kallsyms lists/);
  });

  it('a name that only a module has at that address', () => {
    const { kernel, outcome } = scene();
    kernel.forget('printk');
    kernel.define('printk', addresses.printk, 't', 'veth');
    expect(outcome()).toMatch(/^printk: /);
  });

  it('one of several addresses that kallsyms has for a name', () => {
    const { object, kernel } = scene();
    kernel.define('printk', 0xffffffff81e00000n, 't');
    const result = matchUnit(object, kernel);
    expect(result.kind === 'match' && hexOf(result.values.get('printk'))).toBe(hexOf(addresses.printk));
  });

  it('two references to one symbol that disagree', () => {
    const text = record.sections['.text'];
    const { kernel, loaded, outcome } = scene({
      '.text': {
        ...text,
        bytes: [...(text?.bytes ?? []), 0xe8, 0, 0, 0, 0],
        relocations: [...(text?.relocations ?? []), [61, 'PLT32', 'printk', -4]],
      },
    });
    expect(outcome()).toBe('match');
    kernel.define('printk', 0xffffffff81e00000n, 't');
    kernel.write(loaded.base('.text') + 61n, bytesOf32(0xffffffff81e00000n - (TEXT + 65n)));
    expect(outcome()).toMatch(/^printk: .*as elsewhere/);
  });

  it('two references into one section that disagree', () => {
    const text = record.sections['.text'];
    const { kernel, loaded, outcome } = scene({
      '.text': {
        ...text,
        bytes: [...(text?.bytes ?? []), 0xff, 0x04, 0x25, 0, 0, 0, 0],
        relocations: [...(text?.relocations ?? []), [63, '32S', '.bss', 8]],
      },
    });
    expect(outcome()).toBe('match');
    kernel.write(loaded.base('.text') + 63n, bytesOf32(DATA + 12n));
    expect(outcome()).toMatch(/^\.bss: found section start at .* as elsewhere/);
  });

  it('the only reference into a section, to another variable than in the source', () => {
    const { kernel, loaded, outcome } = scene();
    kernel.write(loaded.at('first', 8), bytesOf32(DATA + 8n));
    expect(outcome()).toMatch(/^counter: .*expected counter as kallsyms lists it/);
  });

  it('a per-CPU variable at another offset', () => {
    const { kernel, loaded, outcome } = scene();
    kernel.write(loaded.at('second', 3), bytesOf32(0x1d048n - (TEXT + 39n)));
    expect(outcome()).toMatch(/^state: /);
  });

  it('compares strings by what they are, not by where', () => {
    const { kernel, loaded, outcome } = scene();
    const elsewhere = 0xffffffff82e00000n;
    kernel.map(elsewhere, [...Buffer.from('it is so: %d is on\0 and more\0')]);
    kernel.write(loaded.at('first', 15), bytesOf32(elsewhere + 10n));
    expect(outcome()).toBe('match');
    kernel.write(loaded.at('first', 15), bytesOf32(elsewhere + 9n));
    expect(outcome()).toMatch(/^\.rodata\.str1\.1\+0x6: found " %d is on", expected "%d is on"/);
    // Longer: it goes on where the other ends.
    kernel.write(elsewhere + 18n, [0x21]);
    kernel.write(loaded.at('first', 15), bytesOf32(elsewhere + 10n));
    expect(outcome()).toMatch(/expected "%d is on"/);
    kernel.write(loaded.at('first', 15), bytesOf32(0xffffffff8f000000n));
    expect(outcome()).toMatch(/found no memory at 0xffffffff8f000000/);
  });

  it('compares a constant as a whole, whichever part of it the code refers to', () => {
    const text = record.sections['.text'];
    const constant = Buffer.from('0123456789abcdef');
    const { kernel, loaded, outcome } = scene({
      '.rodata.cst16': { bytes: constant, flags: SHF_ALLOC | SHF_MERGE, entrySize: 16 },
      '.text': {
        ...text,
        relocations: (text?.relocations ?? []).map((each) =>
          each[0] === 15 ? [15, '32S', '.rodata.cst16', 8] : each,
        ),
      },
    });
    const elsewhere = kernel.map(0xffffffff82e00000n, Buffer.from('..0123456789abcdef'));
    kernel.write(loaded.at('first', 15), bytesOf32(elsewhere + 10n));
    expect(outcome()).toBe('match');
    kernel.write(elsewhere + 3n, [0x21]);
    expect(outcome()).toMatch(/^\.rodata\.cst16\+0x0: found 3021/);
  });

  it.each([15, 16, -1])('a string at %i, outside the section, explains nothing', (offset) => {
    const text = record.sections['.text'];
    const { kernel, loaded, outcome } = scene({
      '.text': {
        ...text,
        relocations: (text?.relocations ?? []).map((each) =>
          each[0] === 15 ? [15, '32S', '.rodata.str1.1', offset] : each,
        ),
      },
    });
    kernel.write(loaded.at('first', 15), bytesOf32(kernel.map(0xffffffff82e00000n, new Uint8Array(8))));
    expect(outcome()).toMatch(/^\.rodata\.str1\.1\+?.*expected contents to compare/);
  });
});

describe('matchUnit, functions', () => {
  it('a function that the kernel does not have by name', () => {
    for (const name of ['first', 'second', 'second.cold']) {
      const { kernel, outcome } = scene();
      kernel.forget(name);
      expect(outcome(), name).toBe(`${name}: found no such symbol, expected a function of this name`);
    }
  });

  it('a function that kallsyms has at another distance, though the bytes are equal', () => {
    for (const name of ['first', 'second', 'second.cold']) {
      const { kernel, outcome } = scene();
      kernel.forget(name);
      kernel.define(name, TEXT - 0x1000n);
      kernel.map(TEXT - 0x1000n, new Uint8Array(0x100));
      expect(outcome(), name).not.toBe('match');
    }
  });

  it('a function of this name in a module only', () => {
    const { kernel, outcome } = scene();
    kernel.forget('first');
    kernel.define('first', TEXT, 't', 'veth');
    expect(outcome()).toMatch(/^first: found no such symbol/);
  });

  it('an ambiguous name is settled by the others in the section', () => {
    const { kernel, outcome } = scene();
    kernel.define('first', TEXT + 0x5000n, 't');
    kernel.define('second', TEXT + 0x6000n, 't');
    expect(outcome()).toBe('match');
  });
});
