import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import { hexToBytes } from '../../test/support/hex-table.ts';
import type { Boot } from '../../test/support/kernel-boot.ts';
import { smallKernel } from '../../test/support/small-kernel.ts';
import { BusyError, RefusedError } from '../diagnostics/error.ts';
import { hexBytes } from '../diagnostics/hex.ts';
import { toAddress } from '../kernel/address.ts';
import { matchUnit, type UnitMatch } from '../match/match-unit.ts';
import type { TextPatch } from '../match/text-patch.ts';
import { checkLayout, checkSite, oldRanges, refusePatched } from './old-code.ts';
import type { OldRange } from './update-tables.ts';

const TEXT = 0xffffffff81234000n;
const COLD = 0xffffffff81f80000n;

const record: ObjectRecord = {
  sections: {
    '.text': {
      bytes: hexToBytes('e8 00 00 00 00 31 c0 f0 ff 00 c3 cc ff c0 c3 c3'),
      relocations: [[1, 'PLT32', '__fentry__', -4]],
    },
    '.text.unlikely': { bytes: hexToBytes('0f 0b 0f 0b 0f 0b 0f 0b') },
    '.init.text': { bytes: [0xc3], flags: 6 },
    __mcount_loc: { bytes: Array.from({ length: 8 }, () => 0), relocations: [[0, '64', '.text', 0]] },
    '.smp_locks': { bytes: [0, 0, 0, 0], relocations: [[0, 'PC32', '.text', 7]] },
  },
  symbols: {
    get: { section: '.text', type: 'func', size: 11 },
    'get.part.0': { section: '.text', value: 12, type: 'func', size: 3 },
    gets: { section: '.text', value: 15, type: 'func', size: 1 },
    'get.cold': { section: '.text.unlikely', type: 'func', size: 2 },
    'get.part.0.cold': { section: '.text.unlikely', value: 2, type: 'func', size: 2 },
    'gets.cold': { section: '.text.unlikely', value: 4, type: 'func', size: 2 },
    'get.cold.1': { section: '.text.unlikely', value: 6, type: 'func', size: 2 },
    setup: { section: '.init.text', type: 'func', size: 1 },
  },
};

function matched(boot: Boot = {}): UnitMatch {
  const object = buildObject(record);
  const kernel = smallKernel();
  kernel.load(object, { '.text': TEXT, '.text.unlikely': COLD }, boot);
  const result = matchUnit(object, kernel);
  if (result.kind !== 'match') throw new Error(JSON.stringify(result.mismatch));
  return result;
}

const starts = (name: string): bigint[] => oldRanges(matched(), name).map(({ start }) => start);

const range = (mask: string): OldRange => ({
  start: toAddress(TEXT),
  hasEntry: true,
  body: new Uint8Array(hexToBytes(mask).length),
  mask: hexToBytes(mask),
});

describe('oldRanges', () => {
  it('gives the function first, with its live bytes, then its own cold parts', () => {
    const ranges = oldRanges(matched(), 'get');
    expect(ranges.map(({ start, hasEntry, body }) => [start.toString(16), hasEntry, hexBytes(body)])).toEqual(
      [
        [TEXT.toString(16), true, '0f 1f 44 00 00 31 c0 f0 ff 00 c3'],
        [COLD.toString(16), false, '0f 0b'],
        [(COLD + 6n).toString(16), false, '0f 0b'],
      ],
    );
    expect(hexBytes(ranges[0]?.mask ?? new Uint8Array())).toBe('00 00 00 00 00 ff ff ff ff ff ff');
    expect(hexBytes(ranges[1]?.mask ?? new Uint8Array())).toBe('ff ff');
  });

  it('a lock prefix may be rewritten only where the kernel booted with one CPU', () => {
    const [booted] = oldRanges(matched({ oneCpu: true }), 'get');
    expect(hexBytes(booted?.body ?? new Uint8Array())).toBe('0f 1f 44 00 00 31 c0 3e ff 00 c3');
    expect(hexBytes(booted?.mask ?? new Uint8Array())).toBe('00 00 00 00 00 ff ff 00 ff ff ff');
  });

  it('takes neither parts of other functions nor functions whose names begin alike', () => {
    expect(starts('get.part.0')).toEqual([TEXT + 12n, COLD + 2n]);
    expect(starts('gets')).toEqual([TEXT + 15n, COLD + 4n]);
  });

  it('takes code around a function of assembly that no function has, but not what fills', () => {
    const object = buildObject({
      // 0 a label's code; 8 f; 11 another label's; 16 g
      sections: {
        '.text': { bytes: hexToBytes('ff c0 c3 90 0f 1f 40 00 ff c8 c3 31 c0 c3 66 90 ff c0 c3') },
      },
      symbols: {
        f: { section: '.text', value: 8, type: 'func', size: 3, binding: 'global' },
        g: { section: '.text', value: 16, type: 'func', size: 3, binding: 'global' },
      },
    });
    const kernel = smallKernel();
    kernel.load(object, { '.text': TEXT });
    const match = matchUnit(object, kernel);
    if (match.kind !== 'match') throw new Error(JSON.stringify(match.mismatch));
    const found = (name: string): unknown[] =>
      oldRanges(match, name).map(({ start, hasEntry, body }) => [start - TEXT, hasEntry, hexBytes(body)]);
    expect(found('f')).toEqual([
      [8n, true, 'ff c8 c3'],
      [0n, false, 'ff c0 c3 90 0f 1f 40 00'],
      [11n, false, '31 c0 c3 66 90'],
    ]);
    expect(found('g')).toEqual([[16n, true, 'ff c0 c3']]);
  });

  it('refuses what is not there, not there any more, or there twice', () => {
    expect(() => oldRanges(matched(), 'absent')).toThrow(RefusedError);
    expect(() => oldRanges(matched(), 'setup')).toThrow(RefusedError);
    const match = matched();
    const twice = match.object.symbols.flatMap((each) => (each.name === 'get' ? [each, each] : [each]));
    expect(() => oldRanges({ ...match, object: { ...match.object, symbols: twice } }, 'get')).toThrow(
      /test\.o: 2 functions get/,
    );
  });
});

const probe = (at: bigint, kind: TextPatch['kind'] = 'kprobe'): TextPatch => ({
  at: toAddress(at),
  size: 1,
  kind,
  owner: 'the kprobe at x',
  isLegal: ([byte]) => byte === 0xcc,
});

/** The record matched with a probe at an address. */
function patched(at: bigint): UnitMatch {
  const object = buildObject(record);
  const kernel = smallKernel();
  kernel.load(object, { '.text': TEXT, '.text.unlikely': COLD });
  kernel.write(at, [0xcc]);
  const result = matchUnit(object, kernel, { patches: () => [probe(at)] });
  if (result.kind !== 'match') throw new Error(JSON.stringify(result.mismatch));
  return result;
}

describe('what somebody else has patched', () => {
  it('is no mismatch, is named, and may change at any time', () => {
    const match = patched(TEXT + 13n);
    expect(match.explained.get('the kprobe at x')).toBe(1);
    expect([...(oldRanges(match, 'get.part.0')[0]?.mask ?? [])]).toEqual([0xff, 0, 0xff]);
  });

  it('is a mismatch where it is not what its owner writes', () => {
    const object = buildObject(record);
    const kernel = smallKernel();
    kernel.load(object, { '.text': TEXT, '.text.unlikely': COLD });
    kernel.write(TEXT + 13n, [0x90]);
    expect(matchUnit(object, kernel, { patches: () => [probe(TEXT + 13n)] }).kind).toBe('mismatch');
  });

  it('refuses the function that it is in, by its owner, and no other', () => {
    const match = patched(TEXT + 5n);
    expect(() => {
      refusePatched(match, 'get', oldRanges(match, 'get'));
    }).toThrow(/the kprobe at x has changed get/);
    expect(() => {
      refusePatched(match, 'gets', oldRanges(match, 'gets'));
    }).not.toThrow();
    const other = { ...match, patches: [probe(TEXT + 5n, 'update')] };
    expect(() => {
      refusePatched(other, 'get', oldRanges(other, 'get'));
    }).toThrow(BusyError);
  });
});

describe('checkSite', () => {
  const plain = '00 00 00 00 00 ff ff ff ff ff ff 00';

  it('accepts bytes that nobody rewrites, up to the last one', () => {
    expect(() => {
      checkSite('f', range(plain), 5, 5);
    }).not.toThrow();
    expect(() => {
      checkSite('f', range(plain), 5, 6);
    }).not.toThrow();
    expect(() => {
      checkSite('f', range('ff ff ff ff ff'), 0, 5);
    }).not.toThrow();
  });

  it.each([
    ['over the ftrace entry', plain, 4, 5, /at 0x4: the kernel rewrites 0x4/],
    ['over a byte that is rewritten', plain, 5, 7, /at 0x5: the kernel rewrites 0xb/],
    ['beyond the end', 'ff ff ff ff ff', 1, 5, /at 0x1: the function ends/],
    ['at the end', 'ff ff ff ff ff', 5, 5, /the function ends/],
  ])('refuses a jump %s', (_, mask, offset, size, message) => {
    const check = (): void => {
      checkSite('do_it', range(mask), offset, size);
    };
    expect(check).toThrow(RefusedError);
    expect(check).toThrow(message);
    expect(check).toThrow(/^do_it: no room for a jump/);
  });
});

/** As if the kernel had two bytes of padding at an offset. */
function paddedAt(offset: number): UnitMatch {
  const match = matched();
  const layout = {
    toRun: (at: number): number => (at > offset ? at + 2 : at),
    toUnit: (at: number): number => (at > offset ? at - 2 : at),
  };
  const text = new Map([...match.text].map(([index, one]) => [index, { ...one, layout }]));
  return { ...match, text };
}

describe('checkLayout', () => {
  const start = Number(record.symbols?.['get']?.value ?? 0);

  it('accepts what is laid out as in the unit, as far as the jump goes', () => {
    expect(() => checkLayout(matched(), 'get', 5)).not.toThrow();
    expect(() => checkLayout(paddedAt(start + 5), 'get', 5)).not.toThrow();
  });

  it('refuses a function that has other instructions where the jump would go', () => {
    for (const offset of [start, start + 1, start + 4]) {
      expect(() => checkLayout(paddedAt(offset), 'get', 5), `${offset}`).toThrow(
        /other instructions at its start/,
      );
    }
  });
});
