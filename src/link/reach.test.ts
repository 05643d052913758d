import { describe, expect, it } from 'vitest';
import { relocationByName } from '../../test/support/relocation-by-name.ts';
import { InternalError, RefusedError } from '../diagnostics/error.ts';
import { toAddress } from '../kernel/address.ts';
import { checkReach, fieldBytes } from './reach.ts';

const MODULES_VADDR = 0xffffffffc0000000n;
const MODULES_END = 0xffffffffff000000n;
const GB2 = 0x80000000n;

describe('checkReach', () => {
  // A module may lie anywhere in [MODULES_VADDR, MODULES_END): S + A - P must fit 32 bits at both ends.
  it.each<readonly [string, string, bigint, number, boolean]>([
    ['kernel text', 'PC32', 0xffffffff81000000n, -4, true],
    ['the last of kernel text', 'PLT32', 0xffffffffbfffffffn, -4, true],
    ['a module', 'PC32', 0xffffffffc0123000n, -4, true],
    ['a per-CPU offset', 'PC32', 0x1fb80n, -4, true],
    ['the lowest in reach of the end', 'PC32', MODULES_END - GB2, 0, true],
    ['one below it', 'PC32', MODULES_END - GB2, -1, false],
    ['the highest in reach of the start', 'PC32', MODULES_VADDR + GB2 - 1n, 0, true],
    ['one above it', 'PC32', MODULES_VADDR + GB2 - 1n, 1, false],
    ['the direct map', 'PC32', 0xffff888000000000n, -4, false],
    ['vmalloc', 'PLT32', 0xffffc90000000000n, -4, false],
    ['the fixmap', 'PC32', 0xffffffffff5fb000n, -4, true],
    ['a constant that is too large', 'PC32', 0x7fffffffn, 0, false],
    ['kernel text', '32S', 0xffffffff81000000n, 0, true],
    ['the lowest that is sign-extended', '32S', 0xffffffff80000000n, 0, true],
    ['one below it', '32S', 0xffffffff80000000n, -1, false],
    ['a per-CPU offset', '32S', 0x1fb80n, 0x10, true],
    ['the highest positive', '32S', 0x7fffffffn, 0, true],
    ['one above it', '32S', 0x7fffffffn, 1, false],
    ['-1 + 1', '32S', 0xffffffffffffffffn, 1, true],
    ['4 GiB less 1', '32', 0xffffffffn, 0, true],
    ['4 GiB', '32', 0xffffffffn, 1, false],
    ['kernel text, zero-extended', '32', 0xffffffff81000000n, 0, false],
    ['anything', '64', 0xffff888000000000n, 8, true],
    ['anything', 'PC64', 0xffff888000000000n, -8, true],
  ])('%s by %s', (_, type, value, addend, reaches) => {
    const check = (): void => {
      checkReach('a.o: .text+0x3', relocationByName(type), toAddress(value), addend);
    };
    if (reaches) expect(check).not.toThrow();
    else {
      expect(check).toThrow(InternalError);
      expect(check).toThrow(
        new RegExp(`^a\\.o: \\.text\\+0x3: R_X86_64_${type} does not reach 0x[0-9a-f]{1,16}$`),
      );
    }
  });
});

describe('fieldBytes', () => {
  it('knows what the module loader knows, and refuses the rest by name', () => {
    const sizes = ['64', 'PC64', '32', '32S', 'PC32', 'PLT32'].map((name) =>
      fieldBytes(relocationByName(name)),
    );
    expect(sizes).toEqual([8, 8, 4, 4, 4, 4]);
    for (const name of ['8', '16', 'GOTPCRELX', 'REX_GOTPCRELX', 'TPOFF32']) {
      expect(() => fieldBytes(relocationByName(name))).toThrow(RefusedError);
      expect(() => fieldBytes(relocationByName(name))).toThrow(`R_X86_64_${name}`);
    }
  });
});
