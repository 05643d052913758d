import { describe, expect, it } from 'vitest';
import { toAddress } from '../../src/kernel/address.ts';
import type { KernelSymbol } from '../../src/kernel/kernel.ts';
import { addReasons, coverageOf, isFill, type MatchedRange } from './text-coverage.ts';
import type { Hole } from './unit-result.ts';

const symbol = (name: string, address: bigint, type = 't', module?: string): KernelSymbol => ({
  name,
  address: toAddress(address),
  type,
  module,
});

const range = (start: bigint, end: bigint, group = 'fs', section = '.text'): MatchedRange => ({
  path: `${group}/${start.toString(16)}.o`,
  group,
  section,
  start,
  size: Number(end - start),
});

const allFill = (): boolean => true;

describe('coverageOf', () => {
  it('finds the function of a unit that nobody compiled, and between which units it is', () => {
    const symbols = [symbol('a', 0x100n), symbol('lost', 0x200n), symbol('b', 0x300n)];
    const coverage = coverageOf(symbols, [range(0x300n, 0x380n), range(0x100n, 0x180n)], allFill);
    expect(coverage).toMatchObject({
      functions: 3,
      matched: 2,
      bytes: 0x280,
      matchedBytes: 0x100,
      fillBytes: 0,
    });
    expect(coverage.holes).toEqual([
      { name: 'lost', start: 0x200n, reason: 'between fs/100.o and fs/300.o' },
    ]);
  });

  it('does not take what lies between two directories, or two sections, for a hole', () => {
    const symbols = [symbol('a', 0x100n), symbol('other', 0x200n), symbol('b', 0x300n)];
    expect(coverageOf(symbols, [range(0x100n, 0x180n), range(0x300n, 0x380n, 'mm')], allFill).holes).toEqual(
      [],
    );
    const unlikely = range(0x300n, 0x380n, 'fs', '.text.unlikely');
    expect(coverageOf(symbols, [range(0x100n, 0x180n), unlikely], allFill).holes).toEqual([]);
  });

  it('takes a directory in the middle of another into account, once', () => {
    const symbols = [symbol('a', 0x100n), symbol('notify', 0x200n), symbol('b', 0x300n)];
    const matched = [range(0x100n, 0x200n), range(0x200n, 0x300n, 'fs/notify'), range(0x300n, 0x380n)];
    expect(coverageOf(symbols, [...matched, ...matched], allFill)).toEqual({
      functions: 3,
      matched: 3,
      bytes: 0x280,
      matchedBytes: 0x280,
      fillBytes: 0,
      holes: [],
    });
  });

  it('counts filling between sections, and reports bytes that are neither a function nor filling', () => {
    const symbols = [symbol('a', 0x100n), symbol('b', 0x110n), symbol('c', 0x120n)];
    const matched = [range(0x100n, 0x10cn), range(0x110n, 0x118n), range(0x120n, 0x130n)];
    const coverage = coverageOf(symbols, matched, (start) => start === 0x10cn);
    expect(coverage).toMatchObject({ matched: 3, bytes: 0x30, matchedBytes: 0x24, fillBytes: 4 });
    expect(coverage.holes).toMatchObject([{ name: undefined, start: 0x118n }]);
  });

  it('counts neither data, nor modules, nor a second name of an address', () => {
    const symbols = [
      symbol('a', 0x100n),
      symbol('alias', 0x100n, 'T'),
      symbol('object', 0x104n, 'd'),
      symbol('module', 0x108n, 't', 'veth'),
    ];
    expect(coverageOf(symbols, [range(0x100n, 0x180n)], allFill).functions).toBe(1);
  });
});

describe('isFill', () => {
  it.each([
    ['cccccc', true],
    ['0f1f4000', true],
    ['ccc3', false],
    ['4889e5', false],
  ])('%s: %s', (bytes, expected) => {
    expect(isFill(Buffer.from(bytes, 'hex'))).toBe(expected);
  });
});

const hole = (name: string): Hole => ({ name, start: 1n, reason: 'between x.o and y.o' });

describe('addReasons', () => {
  it('names the unit that has the function', () => {
    const units = [
      { path: 'kernel/pid.o', outcome: 'match', unplaced: ['weight'] },
      { path: 'kernel/hung_task.o', outcome: 'mismatch', unplaced: ['watchdog'] },
    ] as const;
    const reasons = addReasons(
      [hole('weight'), hole('watchdog'), hole('other')],
      units.map((unit) => ({ ...unit, unplaced: [...unit.unplaced] })),
    ).map(({ reason }) => reason);
    expect(reasons).toEqual([
      'kernel/pid.o: cannot be told from its copies',
      'kernel/hung_task.o: of a unit that does not match',
      'between x.o and y.o: of no unit that was compiled',
    ]);
  });
});
