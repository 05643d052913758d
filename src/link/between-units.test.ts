import { describe, expect, it } from 'vitest';
import { buildObject } from '../../test/support/elf-builder.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { MatchError } from '../diagnostics/error.ts';
import type { ObjectFile } from '../elf/model.ts';
import { toAddress } from '../kernel/address.ts';
import { scopeOf } from '../kernel/symbol-scope.ts';
import type { UnitMatch } from '../match/match-unit.ts';
import { broughtBy, newlyExported } from './between-units.ts';

const TEXT = 0xffffffffc0a00000n;
const ELSEWHERE = 0xffffffff81001000n;

const NOTHING = buildObject({ sections: {}, symbols: {} }, 'nothing.o');

/** An object that defines `helper` at .text+1. */
function defining(binding: 'global' | 'local'): ObjectFile {
  return buildObject(
    {
      sections: { '.text': { bytes: [0x90, 0xc3], flags: 6 } },
      symbols: { helper: { section: '.text', value: 1, type: 'func', size: 1, binding } },
    },
    'unit.o',
  );
}

interface Parts {
  readonly kernel: FakeKernel;
  readonly target: string;
  readonly pre?: ObjectFile;
  readonly replacement?: ObjectFile;
  /** Names that matching has learnt. */
  readonly known?: readonly string[];
}

function unit({ kernel, target, pre = NOTHING, replacement = NOTHING, known = [] }: Parts): {
  readonly match: UnitMatch;
  readonly replacement: ObjectFile;
} {
  const text = pre.sections.find(({ name }) => name === '.text');
  const match: UnitMatch = {
    kind: 'match',
    mode: 'strict',
    object: pre,
    target,
    scope: scopeOf(kernel, target),
    text: new Map(),
    patches: [],
    bases: new Map(text === undefined ? [] : [[text.index, toAddress(TEXT)]]),
    values: new Map(known.map((name) => [name, toAddress(ELSEWHERE)])),
    explained: new Map(),
    choices: new Map(),
    compared: 2,
  };
  return { match, replacement };
}

describe('a name that units of an update bring', () => {
  const kernel = new FakeKernel();
  const replacement = defining('global');
  const bringing = (target: string): ReturnType<typeof unit> => unit({ kernel, target, replacement });
  const inNet = unit({ kernel, target: 'net' });

  it('is found in another module, the kernel proper, and best in the own one', () => {
    const units = [inNet, bringing('crypto')];
    expect(broughtBy(units, inNet, 'helper')?.object).toBe(1);
    expect(broughtBy([...units, bringing('vmlinux')], inNet, 'helper')?.object).toBe(2);
    expect(broughtBy([...units, bringing('net')], inNet, 'helper')?.object).toBe(2);
    expect(broughtBy(units, inNet, 'other')).toBeUndefined();
  });

  it('is not found in a module by the kernel proper', () => {
    const inKernel = unit({ kernel, target: 'vmlinux' });
    expect(broughtBy([inKernel, bringing('crypto')], inKernel, 'helper')).toBeUndefined();
  });

  it('is not what another module brings if it meant something before', () => {
    for (const user of [
      unit({ kernel, target: 'net', known: ['helper'] }),
      unit({ kernel, target: 'net', pre: defining('global') }),
    ]) {
      expect(broughtBy([user, bringing('crypto')], user, 'helper')).toBeUndefined();
      expect(
        newlyExported([user, unit({ kernel, target: 'crypto', pre: defining('global') })], user, 'helper'),
      ).toBe(undefined);
    }
  });

  it('is refused where two other modules have it, or the kernel has one, too', () => {
    expect(() => broughtBy([inNet, bringing('crypto'), bringing('fs')], inNet, 'helper')).toThrow(MatchError);
    const another = new FakeKernel();
    another.define('helper', ELSEWHERE, 't');
    const user = unit({ kernel: another, target: 'net' });
    expect(() => broughtBy([user, bringing('crypto')], user, 'helper')).toThrow(
      /helper: the update has 1 in other modules, and the kernel has 1, expected one in all/,
    );
  });
});

describe('a name that another module has had all along', () => {
  const kernel = new FakeKernel();
  const user = unit({ kernel, target: 'net' });

  it.each(['global', 'local'] as const)('is its original, %s before', (binding) => {
    const owner = unit({ kernel, target: 'crypto', pre: defining(binding) });
    expect(newlyExported([user, owner], user, 'helper')).toBe(TEXT + 1n);
    expect(newlyExported([user, owner], user, 'other')).toBeUndefined();
  });

  it('is not taken from the kernel proper, nor from the same module: these are found by their names', () => {
    for (const target of ['vmlinux', 'net']) {
      const owner = unit({ kernel, target, pre: defining('global') });
      expect(newlyExported([user, owner], user, 'helper')).toBeUndefined();
    }
  });

  it('is refused where two modules have it', () => {
    const owners = ['crypto', 'fs'].map((target) => unit({ kernel, target, pre: defining('local') }));
    expect(() => newlyExported([user, ...owners], user, 'helper')).toThrow(MatchError);
  });
});
