import { describe, expect, it } from 'vitest';
import {
  buildObject,
  type ObjectRecord,
  type RelocationRecord,
  type SectionRecord,
} from '../../test/support/elf-builder.ts';
import type { Boot } from '../../test/support/kernel-boot.ts';
import { type UnitName, units } from '../../test/support/place-units.ts';
import { smallKernel } from '../../test/support/small-kernel.ts';
import { matchUnit } from './match-unit.ts';

const TEXT = 0xffffffff81234000n;

/** The unit with its place twice, one behind the other. */
function doubled(record: ObjectRecord, length: number): ObjectRecord {
  const copied = Object.entries(record.sections).map(([name, section]): [string, SectionRecord] => {
    const bytes = [...(section.bytes ?? [])];
    if (name === '.altinstr_replacement') return [name, section];
    const isText = name === '.text';
    const shift = isText ? length : bytes.length;
    const again = (section.relocations ?? []).map(
      ([offset, type, symbol, addend = 0]): RelocationRecord => [
        offset + shift,
        type,
        symbol,
        symbol === '.text' ? addend + length : addend,
      ],
    );
    const twice = isText ? [...bytes.slice(0, 2 + length), ...bytes.slice(2)] : [...bytes, ...bytes];
    return [name, { ...section, bytes: twice, relocations: [...(section.relocations ?? []), ...again] }];
  });
  const f = { section: '.text', type: 'func', size: 3 + 2 * length } as const;
  return { sections: Object.fromEntries(copied), symbols: { ...record.symbols, f } };
}

describe('what the kernel chose when it booted is one choice', () => {
  it.each<readonly [string, UnitName, number, Boot, Boot]>([
    ['a feature on and off', 'altCall', 5, { features: [20] }, {}],
    ['a feature off and on', 'altCall', 5, {}, { features: [20] }],
    ['returns plain and through a thunk', 'return', 5, {}, { returns: 'thunk' }],
    ['indirect branches with and without a thunk', 'call', 5, {}, { retpolines: 'indirect' }],
    ['with and without a fence', 'callLong', 6, { retpolines: 'lfence' }, { retpolines: 'indirect' }],
  ])('not %s', (_, name, length, one, other) => {
    const object = buildObject(doubled(units[name], length));
    const [kernel, second] = [smallKernel(), smallKernel()];
    const at = kernel.load(object, { '.text': TEXT }, one).at('f', 2 + length);
    second.load(object, { '.text': TEXT }, other);
    expect(matchUnit(object, kernel).kind).toBe('match');
    kernel.write(at, [...second.read(at, length)]);
    expect(matchUnit(object, kernel)).toMatchObject({
      kind: 'mismatch',
      mismatch: { kind: 'code', offset: 2 + length, place: expect.stringMatching(/./) },
    });
  });

  it('where an alternative is the same bytes as the original, the code tells nothing', () => {
    const same = buildObject(doubled(units.altSame, 5));
    const kernel = smallKernel();
    kernel.load(same, { '.text': TEXT }, { features: [20] });
    expect(matchUnit(same, kernel).kind).toBe('match');
  });
});
