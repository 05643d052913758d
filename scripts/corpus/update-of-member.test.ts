import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { factsOf, updateHash } from './update-of-member.ts';

type Source = Parameters<typeof factsOf>[0];

function unit(
  target: string,
  preName: string,
  needsLivepatch: 'jump-label' | null,
  escapes: boolean,
): Source['units'][number] {
  return {
    target,
    functions: [{ name: `${preName}.new`, preName, site: { offset: 5, size: 5 }, needsLivepatch }],
    newFunctions: ['helper'],
    references: [
      { symbol: '2', scope: 'global', preName: 'kfree', kind: 'function', weak: false, pre: null },
    ],
    escapes: { escapes, reasons: [] },
  };
}

function factsOfUnits(...units: Source['units']): ReturnType<typeof factsOf> {
  return factsOf({ id: 'u_1', units });
}

test('modules are named once, and the kernel is none', () => {
  const units = [
    unit('vmlinux', 'a', null, false),
    unit('fuse', 'b', null, false),
    unit('fuse', 'c', null, false),
  ];
  expect(factsOfUnits(...units).modules).toEqual(['fuse']);
});

test('one escape keeps the whole module loaded', () => {
  expect(factsOfUnits(unit('vmlinux', 'a', null, false)).staysResident).toBe(false);
  const both = factsOfUnits(unit('vmlinux', 'a', null, false), unit('vmlinux', 'b', null, true));
  expect(both.staysResident).toBe(true);
});

test('functions that a jump cannot be written into, and all names that a message may have', () => {
  const facts = factsOfUnits(unit('fuse', 'a', 'jump-label', false), unit('fuse', 'b', null, false));
  expect([...facts.needLivepatch]).toEqual([['a', 'jump-label']]);
  expect(facts.names).toEqual(expect.arrayContaining(['u_1', 'fuse', 'a', 'a.new', 'helper', 'kfree']));
});

test('another update has another hash, and none has one, too', async () => {
  const directory = await mkdtemp(path.join(tmpdir(), 'corpus-test-'));
  try {
    expect(await updateHash({ directory })).toBe('none');
    await writeFile(path.join(directory, 'update.ksplice'), 'a');
    const first = await updateHash({ directory });
    await writeFile(path.join(directory, 'update.ksplice'), 'b');
    expect(await updateHash({ directory })).not.toBe(first);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
