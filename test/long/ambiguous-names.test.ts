/**
 * Functions whose name others in the kernel have too: which of them a unit's own is, as matching says, and as the kernel's list
 * of symbols alone can be made to say. In that list a unit's functions have the distances that they have in its object:
 * so of all candidates one lies right to the unit's functions whose names are unique.
 */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { expect, it } from 'vitest';
import { prepareDebianTree } from '../../scripts/kbuild/debian-tree.ts';
import { compileDirectories } from '../../scripts/match-kernel/compile-directories.ts';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { STT_FUNC } from '../../src/elf/constants.ts';
import type { ElfSymbol, ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import type { Address } from '../../src/kernel/address.ts';
import { ImageKernel } from '../../src/kernel/image/image-kernel.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import { matchUnit } from '../../src/match/match-unit.ts';
import { RunTables } from '../../src/match/run-tables.ts';
import { noPatches } from '../../src/match/text-patch.ts';
import { namesToLookUp } from '../../src/match/text-sections.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

/** Candidates at the right distance to every function of the section with a unique name; undefined if it has none. */
function byDistance(kernel: Kernel, object: ObjectFile, symbol: ElfSymbol): readonly Address[] | undefined {
  const unique = object.symbols.filter(
    ({ type, place, name }) =>
      type === STT_FUNC && place === symbol.place && name !== symbol.name && kernel.named(name).length === 1,
  );
  if (unique.length === 0) return undefined;
  return kernel
    .named(symbol.name)
    .map(({ address }) => address)
    .filter((address) =>
      unique.every(({ name, value }) => kernel.named(name)[0]?.address === address + value - symbol.value),
    );
}

it('tells dozens of functions of one name apart, each as the list of symbols confirms', async () => {
  const cacheDir = testCacheDir();
  const debian = await debianSources(TEST_RELEASE, { cacheDir });
  const tree = await prepareDebianTree(debian, { cacheDir });
  const { units, failures } = await compileDirectories(
    tree,
    ['ipc', 'kernel/time', 'kernel/locking', 'block'],
    {
      jobs: cpus().length,
      onProgress: () => undefined,
    },
  );
  expect(failures).toEqual([]);

  const kernel = await ImageKernel.open(debian.image, {});
  const tables = new RunTables(kernel);
  const confirmed: string[] = [];
  for (const { path, target, file } of units.filter((unit) => unit.target === VMLINUX)) {
    const object = readObject(await readFile(file), path);
    kernel.prefetch(namesToLookUp(object, target));
    const match = matchUnit(object, kernel, { tables, target, patches: noPatches });
    if (match.kind !== 'match') throw new Error(`${path} does not match`);
    for (const symbol of object.symbols) {
      if (symbol.type !== STT_FUNC || typeof symbol.place !== 'number') continue;
      const placed = match.text.get(symbol.place);
      if (placed === undefined || kernel.named(symbol.name).length < 2) continue;
      const said = byDistance(kernel, object, symbol);
      if (said === undefined) continue;
      expect([path, symbol.name, said]).toEqual([path, symbol.name, [placed.base + symbol.value]]);
      confirmed.push(symbol.name);
    }
  }
  expect(new Set(confirmed).size).toBeGreaterThanOrEqual(10);
});
