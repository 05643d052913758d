/** How the units of an update are bound: to one another, and to what the kernel runs by their names. */
import { describe, expect, it } from 'vitest';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { scopeOf } from '../../src/kernel/symbol-scope.ts';
import { linkUpdate } from '../../src/link/link-update.ts';
import { matchUnit } from '../../src/match/match-unit.ts';
import {
  compile,
  coreAddress,
  fentry,
  LOCKED,
  link,
  named,
  preObject,
  replaced,
  sectioned,
  stubObject,
  unit,
  unitToLink,
} from '../support/linked-update.ts';
import { smallKernel } from '../support/small-kernel.ts';

describe('a unit that refers to what another unit brings', () => {
  const userPre = compile('int other(int x) { return x * 1000 + 12345; }', fentry, 'fs/b.o');
  const userReplacement = compile(
    'int added(int x); extern int new_percpu; int other(int x) { return added(x) + new_percpu; }',
    sectioned,
    'fs/b.o (replacement)',
  );

  /** `target`: what the unit is part of that brings `added`. */
  function linkBoth(target: string): ObjectFile {
    const kernel = smallKernel();
    kernel.load(preObject, { '.text': 0xffffffff81234000n });
    kernel.load(userPre, { '.text': 0xffffffff81244000n });
    for (const name of ['__start_ro_after_init', '__end_ro_after_init']) kernel.define(name, LOCKED, 'D');
    kernel.define('locked_key', kernel.map(LOCKED, [0, 0, 0, 0]), 'D');
    const [brings, uses] = [preObject, userPre].map((object) => {
      const match = matchUnit(object, kernel);
      if (match.kind !== 'match') throw new Error(JSON.stringify(match.mismatch));
      return match;
    });
    if (brings === undefined || uses === undefined) throw new Error('no match');
    const { bytes } = linkUpdate(
      {
        id: 'fix_1',
        on: [],
        units: [
          unitToLink(uses, { replacement: userReplacement, functions: replaced('other') }),
          unitToLink(
            { ...brings, target, scope: scopeOf(kernel, target) },
            {
              functions: target === 'vmlinux' ? replaced('handle') : [],
              references: [unit('counter'), unit('helper')],
            },
          ),
        ],
        stub: stubObject,
        moduleLayoutCrc: 1,
        resident: false,
      },
      kernel,
      coreAddress,
    );
    return readObject(bytes, 'ksplice_fix_1.ko');
  }

  it('is bound to it in the module', () => {
    const object = linkBoth('vmlinux');
    const other = object.symbols.find(({ name }) => name === 'other.ksplice_fix_1');
    const [start, end] = [Number(other?.value), Number(other?.value) + (other?.size ?? 0)];
    const used = named(object, '.text').relocations.flatMap(({ offset, symbol }) =>
      offset >= start && offset < end ? [object.symbols[symbol]?.name] : [],
    );
    expect(used).toEqual(expect.arrayContaining(['added.ksplice_fix_1', 'new_percpu']));
  });

  it('does not see what a module brings', () => {
    expect(() => linkBoth('some_module')).toThrow(/fs\/b\.o: kallsyms has no symbol named added/);
  });
});

describe('what linking refuses', () => {
  it('a function that something overrides', () => {
    const { kernel, old } = link();
    const found = kernel.named('handle')[0]?.address;
    expect(found).toBe(old('handle'));
    const match = matchUnit(preObject, kernel);
    if (match.kind !== 'match') throw new Error('no match');
    kernel.forget('handle');
    kernel.define('handle', 0xffffffff81e00000n);
    expect(() =>
      linkUpdate(
        {
          id: 'x',
          on: [],
          units: [unitToLink(match)],
          stub: stubObject,
          moduleLayoutCrc: 1,
          resident: false,
        },
        kernel,
        () => undefined,
      ),
    ).toThrow(/fs\/a\.o: kallsyms has no handle at 0xffffffff81234/);
  });
});
