import { describe, expect, it } from 'vitest';
import { hexToBytes } from '../../test/support/hex-table.ts';
import { relocationByName } from '../../test/support/relocation-by-name.ts';
import { symbolIndex } from '../elf/indices.ts';
import { toAddress } from '../kernel/address.ts';
import { fieldSize, isPcRelative, symbolValueFrom } from './relocation-value.ts';

function valueOf(type: string, addend: number, place: bigint, field: string): bigint {
  const relocation = { offset: 0, type: relocationByName(type), symbol: symbolIndex(1), addend };
  // The field is read from where it lies, not from the start of the buffer.
  const bytes = Uint8Array.from([0xaa, ...hexToBytes(field), 0xaa]);
  return symbolValueFrom(relocation, bytes, 1, toAddress(place - 1n));
}

describe('symbolValueFrom', () => {
  // What ld wrote, worked out by hand: S + A, or S + A - P.
  it.each([
    ['64', 0, 0xffffffff82000000n, '00 10 00 81 ff ff ff ff', 0xffffffff81001000n],
    ['64', 0x18, 0xffffffff82000000n, '18 10 00 81 ff ff ff ff', 0xffffffff81001000n],
    ['64', -8, 0xffffffff82000000n, 'f8 0f 00 81 ff ff ff ff', 0xffffffff81001000n],
    // movq $symbol+4: sign-extended
    ['32S', 4, 0xffffffff81000003n, '04 10 00 82', 0xffffffff82001000n],
    ['32S', 0, 0xffffffff81000003n, '00 d0 01 00', 0x1d000n],
    // movl $symbol: zero-extended
    ['32', 0, 0xffffffff81000001n, '00 10 00 82', 0x82001000n],
    // call forward and backward
    ['PLT32', -4, 0xffffffff81000001n, 'fb 0f 00 00', 0xffffffff81001000n],
    ['PLT32', -4, 0xffffffff81001001n, 'fb ef ff ff', 0xffffffff81000000n],
    // cmpl $1, symbol(%rip): one byte of the instruction comes after the field
    ['PC32', -5, 0xffffffff81000002n, 'f9 0f 00 01', 0xffffffff82001000n],
    ['PC32', 0, 0xffffffff82000000n, '00 00 00 ff', 0xffffffff81000000n],
    // a per-CPU offset, %gs:symbol(%rip): S - P wraps around the address space
    ['PC32', -4, 0xffffffff81000004n, 'f8 cf 01 7f', 0x1d000n],
    ['PC64', 2, 0xffffffff82000008n, 'fa ff ff fe ff ff ff ff', 0xffffffff81000000n],
    ['PC64', 0, 0xffffffff81000000n, '00 00 00 01 00 00 00 00', 0xffffffff82000000n],
  ] as const)('%s with addend %i at %x: %s', (type, addend, place, field, value) => {
    expect(valueOf(type, addend, place, field).toString(16)).toBe(value.toString(16));
  });
});

describe('relocation types', () => {
  it.each([
    ['64', 8, false],
    ['PC64', 8, true],
    ['32', 4, false],
    ['32S', 4, false],
    ['PC32', 4, true],
    ['PLT32', 4, true],
  ] as const)('%s has a field of %i bytes', (type, size, relative) => {
    const relocation = { offset: 0, type: relocationByName(type), symbol: symbolIndex(1), addend: 0 };
    expect(fieldSize(relocation, 'a.o')).toBe(size);
    expect(isPcRelative(relocation)).toBe(relative);
  });

  it('refuses what kernel objects do not have, by name', () => {
    const relocation = { offset: 0, type: relocationByName('8'), symbol: symbolIndex(1), addend: 0 };
    expect(() => fieldSize(relocation, 'net/a.o')).toThrow(
      /net\/a\.o: relocation R_X86_64_8 is not used by kernel objects/,
    );
  });
});
