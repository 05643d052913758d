import { describe, expect, it } from 'vitest';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { bytesOf32 } from '../../test/support/kernel-code.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import { placeInLinkOrder, readLinkOrder } from './link-order.ts';

const TEXT = 0xffffffff81000000n;
const COLD = 0xffffffff81900000n;
const SCHED = 0xffffffff81a00000n;

/** `nop; nop; jne target; ret` at an address. */
function codeWithJump(at: bigint, target: bigint): readonly number[] {
  return [0x90, 0x90, 0x0f, 0x85, ...bytesOf32(target - at - 8n), 0xc3];
}

interface Unit {
  /** Offset of the unit's code in `.text`, and in `.text.unlikely`. */
  readonly hot: bigint;
  readonly cold: bigint;
}

/** A kernel in which each unit has one function, which jumps to its cold part. */
function kernelOf(units: Readonly<Record<string, Unit>>): FakeKernel {
  const kernel = new FakeKernel();
  for (const [name, { hot, cold }] of Object.entries(units)) {
    kernel.map(TEXT + hot, codeWithJump(TEXT + hot, COLD + cold));
    kernel.define(name, TEXT + hot, 't');
    kernel.define(`${name}.cold`, COLD + cold, 't');
    // What ends the function.
    kernel.define(`${name}_next`, TEXT + hot + 9n, 't');
  }
  return kernel;
}

const cold = (...offsets: readonly bigint[]): readonly Address[] =>
  offsets.map((offset) => toAddress(COLD + offset));

/** Where the unit's copy is whose `.text` is 0x100 bytes at an offset. */
function placed(
  kernel: FakeKernel,
  candidates: readonly bigint[],
  main: bigint,
): bigint | undefined | 'no order' {
  const order = readLinkOrder(kernel);
  if (order === undefined) return 'no order';
  const at = placeInLinkOrder(order, cold(...candidates), { base: toAddress(TEXT + main), size: 0x100 });
  return at === undefined ? undefined : at - COLD;
}

const THREE = {
  fork: { hot: 0x1000n, cold: 0x100n },
  workqueue: { hot: 0x2000n, cold: 0x200n },
  params: { hot: 0x3000n, cold: 0x300n },
};

describe('equal copies', () => {
  it.each<readonly [string, readonly bigint[], bigint, bigint | undefined]>([
    ['between two units', [0x150n, 0x250n, 0x350n], 0x2800n, 0x250n],
    ['before all of them', [0x50n, 0x150n], 0x800n, 0x50n],
    ['behind all of them', [0x250n, 0x350n], 0x3800n, 0x350n],
    ['of a unit that has a pair itself, before its cold part', [0x150n, 0x350n], 0x1f80n, 0x150n],
    ['of a unit that has a pair itself, behind it', [0x50n, 0x250n], 0x1f80n, 0x250n],
    ['two between the same units', [0x240n, 0x250n], 0x2800n, undefined],
    ['none where it could be', [0x50n, 0x350n], 0x2800n, undefined],
  ])('%s', (_, candidates, main, expected) => {
    expect(placed(kernelOf(THREE), candidates, main)).toBe(expected);
  });

  it('are not told apart where units are not in one order', () => {
    const kernel = kernelOf({ ...THREE, late: { hot: 0x1800n, cold: 0x400n } });
    expect(placed(kernel, [0x150n, 0x250n], 0x2800n)).toBe('no order');
  });

  it('are not told apart where nothing shows an order', () => {
    expect(placed(new FakeKernel(), [0x150n], 0x2800n)).toBe('no order');
  });
});

describe('what is no pair', () => {
  it('a cold part that the function of this name does not jump to: it is that of a weak one', () => {
    const kernel = kernelOf(THREE);
    kernel.map(TEXT + 0x100n, codeWithJump(TEXT + 0x100n, COLD + 0x300n));
    kernel.define('replaced', TEXT + 0x100n, 't');
    kernel.define('replaced_next', TEXT + 0x109n, 't');
    kernel.define('replaced.cold', COLD + 0x280n, 't');
    expect(placed(kernel, [0x150n, 0x250n, 0x350n], 0x2800n)).toBe(0x250n);
  });

  it('a cold part of one of two functions that have the name', () => {
    const kernel = kernelOf({ ...THREE, show: { hot: 0x100n, cold: 0x280n } });
    expect(placed(kernel, [0x250n], 0x2800n)).toBe('no order');
    kernel.define('show', TEXT + 0x2900n, 't');
    expect(placed(kernel, [0x250n], 0x2800n)).toBe(0x250n);
  });

  it('a function behind, in a section of its own', () => {
    const kernel = kernelOf(THREE);
    kernel.map(SCHED, codeWithJump(SCHED, COLD + 0x180n));
    kernel.define('schedule', SCHED, 't');
    kernel.define('schedule_next', SCHED + 9n, 't');
    kernel.define('schedule.cold', COLD + 0x180n, 't');
    expect(placed(kernel, [0x150n, 0x250n], 0x2800n)).toBe(0x250n);
  });

  it("a module's function", () => {
    const kernel = kernelOf(THREE);
    kernel.map(TEXT + 0x100n, codeWithJump(TEXT + 0x100n, COLD + 0x280n));
    kernel.define('probe', TEXT + 0x100n, 't', 'veth');
    kernel.define('probe.cold', COLD + 0x280n, 't', 'veth');
    expect(placed(kernel, [0x250n], 0x2800n)).toBe(0x250n);
  });
});
