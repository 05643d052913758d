/**
 * Each kind of place: what the kernel may have made of it is accepted, and named; anything else is not.
 */
import { describe, expect, it } from 'vitest';
import { buildObject, type ObjectRecord } from '../../test/support/elf-builder.ts';
import type { FakeKernel, LoadedObject } from '../../test/support/fake-kernel.ts';
import { hexToBytes } from '../../test/support/hex-table.ts';
import type { Boot } from '../../test/support/kernel-boot.ts';
import { branch } from '../../test/support/kernel-code.ts';
import { type UnitName, units } from '../../test/support/place-units.ts';
import {
  addresses,
  bpfTrampoline,
  ftraceTrampoline,
  paravirt,
  pvOps,
  smallKernel,
  staticCallKey,
} from '../../test/support/small-kernel.ts';
import { type Address, toAddress } from '../kernel/address.ts';
import { matchUnit } from './match-unit.ts';

const TEXT = 0xffffffff81234000n;

interface Booted {
  readonly kernel: FakeKernel;
  readonly loaded: LoadedObject;
  readonly match: () => string;
}

/** Names of what was found in places, or function, offset and kind of the place of a mismatch. */
function boot(name: UnitName, options: Boot = {}, kernel = smallKernel()): Booted {
  const record: ObjectRecord = units[name];
  // What the record defines as a symbol for the builder's sake may be of no use in this unit.
  const object = buildObject(record, `${name}.o`);
  const loaded = kernel.load(object, { '.text': TEXT }, options);
  return {
    kernel,
    loaded,
    match: (): string => {
      const result = matchUnit(object, kernel);
      if (result.kind === 'match') return [...result.explained.keys()].join(', ');
      const { mismatch } = result;
      if (mismatch.kind === 'symbol') return `symbol ${mismatch.name}`;
      return `${mismatch.name}+${mismatch.offset} ${mismatch.place ?? 'fixed code'}`;
    },
  };
}

const learned = (features: readonly number[]): (string | undefined)[] => {
  const kernel = smallKernel();
  const object = buildObject(units.altCall);
  kernel.load(object, { '.text': TEXT }, { features });
  const result = matchUnit(object, kernel);
  if (result.kind !== 'match') throw new Error('no match');
  return ['memcpy_fast', 'memcpy_slow'].map((name) => result.values.get(name)?.toString(16));
};

describe('legal contents', () => {
  it.each<readonly [string, UnitName, Boot, string]>([
    ['ftrace off', 'fentry', {}, 'fentry: nop'],
    ['ftrace on', 'fentry', { traced: addresses.ftrace_caller }, 'fentry: traced'],
    ['a trampoline of ftrace', 'fentry', { traced: ftraceTrampoline }, 'fentry: trampoline of ftrace'],
    [
      'a BPF program attached',
      'fentry',
      { traced: bpfTrampoline },
      'fentry: trampoline of bpf_trampoline_6442',
    ],
    ['no return thunk', 'return', {}, 'return: plain'],
    ['the return thunk in force', 'return', { returns: 'thunk' }, 'return: thunk'],
    ['retpoline', 'call', {}, 'retpoline: thunk'],
    ['spectre_v2=off', 'call', { retpolines: 'indirect' }, 'retpoline: indirect branch'],
    ['lfence', 'call', { retpolines: 'lfence' }, 'retpoline: lfence'],
    ['ITS', 'call', { retpolines: 'its' }, 'retpoline: ITS thunk'],
    ['retpoline, r11', 'callLong', {}, 'retpoline: thunk'],
    ['spectre_v2=off, r11', 'callLong', { retpolines: 'indirect' }, 'retpoline: indirect branch'],
    ['lfence, r11', 'callLong', { retpolines: 'lfence' }, 'retpoline: lfence'],
    ['ITS, r11', 'callLong', { retpolines: 'its' }, 'retpoline: ITS thunk'],
    ['tail call, off', 'jmp', { retpolines: 'indirect' }, 'retpoline: indirect branch'],
    ['tail call, lfence', 'jmp', { retpolines: 'lfence' }, 'retpoline: lfence'],
    ['tail call, ITS', 'jmp', { retpolines: 'its' }, 'retpoline: ITS thunk'],
    ['conditional, retpoline', 'jcc', {}, 'retpoline: thunk'],
    ['conditional, off', 'jcc', { retpolines: 'indirect' }, 'retpoline: indirect branch'],
    ['conditional, ITS', 'jcc', { retpolines: 'its' }, 'retpoline: ITS thunk'],
    ['many CPUs', 'lock', {}, 'lock prefix: kept'],
    ['one CPU', 'lock', { oneCpu: true }, 'lock prefix: one CPU'],
    ['an old CPU', 'altCall', {}, 'alternative: original'],
    ['a new CPU', 'altCall', { features: [20] }, 'alternative: feature 0*32+20'],
    ['padding', 'altPadded', {}, 'alternative: original'],
    ['short alternative', 'altPadded', { features: [20] }, 'alternative: feature 0*32+20'],
    ['the last that applies', 'altPadded', { features: [20, 21] }, 'alternative: feature 0*32+21'],
    ['jump not taken', 'altJump', {}, 'alternative: original'],
    ['jump made short', 'altJump', { features: [20] }, 'alternative: feature 0*32+20'],
    ['paravirt', 'paravirt', {}, 'paravirt: direct call'],
    ['paravirt, nothing to do', 'paravirtNop', {}, 'paravirt: nothing'],
    ['paravirt, no function', 'paravirtMissing', {}, 'paravirt: direct call'],
    ['paravirt under Xen', 'paravirtInAlternative', {}, 'paravirt: direct call'],
    ['no Xen', 'paravirtInAlternative', { features: [20] }, 'alternative: feature 0*32+20'],
    ['key off', 'label', {}, 'jump label: nop'],
    ['key on', 'label', { enabled: ['key'] }, 'jump label: jump'],
    ['likely key on', 'labelShort', { enabled: ['key'] }, 'jump label: nop'],
    ['likely key off', 'labelShort', {}, 'jump label: jump'],
    ['static call', 'staticCall', {}, 'static call: direct'],
    ['static tail call', 'staticTail', {}, 'static call: direct'],
    ['conditional static call', 'staticJcc', {}, 'static call: conditional'],
  ])('%s', (_, name, options, expected) => {
    expect(boot(name, options).match()).toBe(expected);
  });

  it.each<readonly [string, UnitName, Boot, bigint, string]>([
    ['no function', 'staticCall', {}, 0n, 'static call: nop'],
    ['returns 0', 'staticCall', {}, addresses.__static_call_return0, 'static call: returns 0'],
    ['tail, no function', 'staticTail', {}, 0n, 'static call: return'],
    ['tail, no function, thunk', 'staticTail', { returns: 'thunk' }, 0n, 'static call: return'],
    ['tail, returns 0', 'staticTail', {}, addresses.__static_call_return0, 'static call: direct'],
    ['conditional, no function', 'staticJcc', {}, 0n, 'static call: conditional'],
  ])('static call: %s', (_, name, options, staticCall, expected) => {
    expect(boot(name, options, smallKernel({ staticCall })).match()).toBe(expected);
  });

  it('places that may change at any time are masked, others are not', () => {
    for (const [name, length] of [
      ['fentry', 5],
      ['label', 5],
      ['labelShort', 2],
      ['staticCall', 5],
      ['staticJcc', 6],
      ['lock', 0],
      ['return', 0],
      ['call', 0],
      ['altCall', 0],
      ['paravirt', 0],
    ] as const) {
      const kernel = smallKernel();
      const object = buildObject(units[name]);
      kernel.load(object, { '.text': TEXT });
      const result = matchUnit(object, kernel);
      if (result.kind !== 'match') throw new Error(name);
      const [text] = result.text.values();
      const expected = Array.from({ length: text?.run.length ?? 0 }, (_, i) =>
        i >= 2 && i < 2 + length ? 0 : 0xff,
      );
      expect([...(text?.mask ?? [])], name).toEqual(expected);
    }
  });

  it('learns where the code that is there goes, not the other one', () => {
    expect(learned([])).toEqual([undefined, addresses.memcpy_slow.toString(16)]);
    expect(learned([20])).toEqual([addresses.memcpy_fast.toString(16), undefined]);
  });
});

describe('illegal contents', () => {
  const at = TEXT + 2n;
  const elsewhere = addresses.printk;

  it.each<readonly [string, UnitName, readonly number[]]>([
    ['a call of kernel code at an entry', 'fentry', branch(0xe8, at, elsewhere)],
    ['a jump at an entry', 'fentry', branch(0xe9, at, addresses.ftrace_caller)],
    ['another nop at an entry', 'fentry', hexBytes('66 66 66 66 90')],
    ['a jump to a thunk that is not in force', 'return', branch(0xe9, at, addresses.__x86_return_thunk)],
    ['a return with something after it', 'return', hexBytes('c3 cc cc 90 cc')],
    ['a far return', 'return', hexBytes('cb cc cc cc cc')],
    ['the thunk of another register', 'call', branch(0xe8, at, 0xffffffff81f05000n)],
    ['a branch through another register', 'call', hexBytes('ff d1 0f 1f 00')],
    ['a jump instead of a call', 'call', hexBytes('ff e2 cc 66 90')],
    ['a jump to nowhere', 'call', branch(0xe8, at, 0xffffffff90000000n)],
    ['a call without its fence', 'callLong', hexBytes('0f ae e8 41 ff d2')],
    ['a call instead of a jump', 'jmp', hexBytes('ff d0 0f 1f 00')],
    ['a condition that is not inverted', 'jcc', hexBytes('75 04 ff e7 cc 90')],
    ['a conditional jump of another length', 'jcc', hexBytes('74 03 ff e7 cc 90')],
    ['another function called by an alternative', 'altCall', branch(0xe8, at, elsewhere)],
    ['another prefix', 'lock', [0x2e]],
    ['another condition', 'jcc', [0x0f, 0x84]],
    ['a call without its prefix', 'callLong', branch(0xe8, at, 0xffffffff81f05160n)],
    ['a nop for a prefix', 'lock', [0x90]],
    ['a call of something else', 'altPadded', hexBytes('0f 01 ca 0f 1f 00')],
    ['half an alternative', 'altPadded', hexBytes('0f 01 cb 0f ae f0')],
    ['padding that is code', 'altPadded', hexBytes('0f ae f0 90 40 90')],
    ['a direct call of another operation', 'paravirt', [...branch(0xe8, at, elsewhere), 0x66, 0x90]],
    ['nothing where the operation is not', 'paravirt', hexBytes('0f 1f 80 00 00 00 00')],
    [
      'a call where the operation is nothing',
      'paravirtNop',
      [...branch(0xe8, at, addresses.native_irq_disable), 0x66, 0x90],
    ],
    [
      'a call not filled up with nops',
      'paravirt',
      [...branch(0xe8, at, addresses.native_irq_disable), 0x90, 0xc3],
    ],
    ['a jump to somewhere else', 'label', hexBytes('e9 01 00 00 00')],
    ['a short jump for a long one', 'label', hexBytes('eb 05 90 90 90')],
    ['a call for a jump', 'label', hexBytes('e8 02 00 00 00')],
    ['a short jump to somewhere else', 'labelShort', hexBytes('eb fd')],
    ['a static call of something else', 'staticCall', branch(0xe8, at, elsewhere)],
    ['the trampoline', 'staticCall', branch(0xe8, at, 0xffffffff81f06000n)],
    ['a static call gone', 'staticCall', hexBytes('0f 1f 44 00 00')],
    ['a static call that returns 0', 'staticCall', hexBytes('2e 2e 2e 31 c0')],
    ['a jump for a call', 'staticCall', branch(0xe9, at, addresses.chosen)],
    ['a call for a tail call', 'staticTail', branch(0xe8, at, addresses.chosen)],
    ['a tail call that returns', 'staticTail', hexBytes('c3 cc cc cc cc')],
    ['a static call under another condition', 'staticJcc', [0x0f, 0x85]],
  ])('%s', (_, name, bytes) => {
    const { kernel, match } = boot(name);
    kernel.write(at, bytes);
    expect(match()).toMatch(/^f\+2 [a-z]+/);
    expect(match()).not.toContain('fixed code');
  });

  it('a short jump of an alternative to somewhere else', () => {
    const { kernel, match } = boot('altJump', { features: [20] });
    kernel.write(at + 1n, [0x04]);
    expect(match()).toBe('f+2 alternative');
  });

  it('a static call whose key has changed', () => {
    const { kernel, match } = boot('staticCall');
    kernel.write(staticCallKey, [0x00]);
    expect(match()).toBe('f+2 static-call');
  });

  it('but not one whose key changes while it is read', () => {
    const { kernel, match } = boot('staticCall');
    const read = kernel.read.bind(kernel);
    let reads = 0;
    kernel.read = (at: Address, size: number): Uint8Array => {
      const bytes = read(at, size);
      // The first look at the key comes before static_call_update(), the others after it.
      if (at === staticCallKey && (reads += 1) === 1) bytes[0] = 0;
      return bytes;
    };
    expect(match()).toBe('static call: direct');
    expect(reads).toBe(2);
  });

  it('a paravirt call whose operation has changed', () => {
    const { kernel, match } = boot('paravirt');
    kernel.write(pvOps + BigInt(paravirt.call * 8), [0x30]);
    expect(match()).toBe('f+2 paravirt');
  });

  it('an ITS thunk that goes elsewhere', () => {
    const { kernel, match } = boot('jmp', { retpolines: 'its' });
    const target = at + 5n + BigInt(Buffer.from(kernel.read(toAddress(at), 5)).readInt32LE(1));
    kernel.write(target + 1n, [0xe1]);
    expect(match()).toBe('f+2 retpoline');
  });

  it('an ITS thunk where none would be made', () => {
    const { kernel, match } = boot('jmp', { retpolines: 'its' });
    const target = at + 5n + BigInt(Buffer.from(kernel.read(toAddress(at), 5)).readInt32LE(1));
    const lower = kernel.map(0xffffffffc0a00000n, kernel.read(toAddress(target), 3));
    kernel.write(at, branch(0xe9, at, lower));
    expect(match()).toBe('f+2 retpoline');
  });

  it('a return where its address asks for the other form', () => {
    const kernel = smallKernel();
    kernel.define('its_return_thunk', addresses.srso_return_thunk);
    const { match } = boot('return', { returns: 'thunk' }, kernel);
    expect(match()).toBe('return: ITS thunk');
    kernel.write(at, hexBytes('c3 cc cc cc cc'));
    expect(match()).toBe('f+2 return');
  });

  it('any single byte of a place, changed', () => {
    for (const name of Object.keys(units).filter(isUnitName)) {
      const { kernel, loaded, match } = boot(name);
      const length = (units[name].sections['.text']?.bytes?.length ?? 0) - 3;
      for (let i = 0; i < length; i += 1) {
        const place = loaded.at('f', 2 + i);
        const [before = 0] = kernel.read(place, 1);
        kernel.write(place, [before ^ 0x10]);
        expect(match(), `${name}: byte ${i}`).toMatch(/^f\+\d+ |^symbol /);
        kernel.write(place, [before]);
      }
      expect(match(), name).not.toMatch(/^f\+/);
    }
  });
});

describe('a kernel at rest', () => {
  const at = TEXT + 2n;

  it.each(Object.keys(units).filter(isUnitName))('has every place as it was linked: %s', (name) => {
    const kernel = smallKernel();
    kernel.isRunning = false;
    const { match } = boot(name, {}, kernel);
    expect(match()).toBe('');
  });

  it('has nothing that only a running kernel writes', () => {
    const kernel = smallKernel();
    kernel.isRunning = false;
    const { match } = boot('fentry', {}, kernel);
    kernel.write(at, hexBytes('0f 1f 44 00 00'));
    expect(match()).toMatch(/^f\+2 fixed code|^symbol/);
  });
});

function hexBytes(text: string): readonly number[] {
  return [...hexToBytes(text)];
}

function isUnitName(name: string): name is UnitName {
  return name in units;
}

describe('a jump label whose target is a cold part', () => {
  const COLD = 0xffffffff81f40000n;
  const record: ObjectRecord = {
    sections: {
      '.text': { bytes: hexToBytes('31 c0 0f 1f 44 00 00 c3') },
      '.text.unlikely': { bytes: hexToBytes('90 31 db c3') },
      __jump_table: {
        bytes: Array.from({ length: 16 }, () => 0),
        relocations: [
          [0, 'PC32', '.text', 2],
          [4, 'PC32', '.text.unlikely', 1],
          [8, 'PC64', 'key', 0],
        ],
      },
    },
    symbols: {
      f: { section: '.text', type: 'func', size: 8 },
      'f.cold': { section: '.text.unlikely', type: 'func', size: 4 },
    },
  };

  it('goes there, and to no other place', () => {
    const kernel = smallKernel();
    const object = buildObject(record);
    kernel.load(object, { '.text': TEXT, '.text.unlikely': COLD });
    const kindOf = (): string => {
      const result = matchUnit(object, kernel);
      return result.kind === 'match' ? [...result.explained.keys()].join() : result.mismatch.name;
    };
    expect(kindOf()).toBe('jump label: nop');
    const jumpTo = (target: bigint): void => {
      kernel.write(TEXT + 2n, branch(0xe9, toAddress(TEXT + 2n), target));
    };
    jumpTo(COLD + 1n);
    expect(kindOf()).toBe('jump label: jump');
    jumpTo(COLD + 3n);
    expect(kindOf()).not.toBe('jump label: jump');
  });
});

describe('the entry of a function', () => {
  it('is named after the livepatch that has it', () => {
    const kernel = smallKernel();
    const object = buildObject(units.fentry);
    const loaded = kernel.load(object, { '.text': TEXT }, { traced: ftraceTrampoline });
    const owner = 'the livepatch fix';
    const at = loaded.at('f', 2);
    const patches = () => [{ at, size: 5, kind: 'livepatch', owner, isLegal: () => false } as const];
    const result = matchUnit(object, kernel, { patches });
    if (result.kind !== 'match') throw new Error('no match');
    expect([...result.explained]).toEqual([['fentry: the livepatch fix', 1]]);
  });
});
