/**
 * Functions whose name others in the kernel have too: which of them a unit's own is, as matching says, and as the kernel's list
 * of symbols alone can be made to say. In that list a unit's functions have the distances that they have in its object:
 * so of all candidates one lies right to the unit's functions whose names are unique.
 */
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { beforeAll, expect, it } from 'vitest';
import { prepareDebianTree } from '../../scripts/kbuild/debian-tree.ts';
import { compileDirectories } from '../../scripts/match-kernel/compile-directories.ts';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { STB_WEAK, STT_FUNC } from '../../src/elf/constants.ts';
import type { ElfSymbol, ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import type { Address } from '../../src/kernel/address.ts';
import { ImageKernel } from '../../src/kernel/image/image-kernel.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import {
  MAIN_TEXT,
  type MainText,
  placeInLinkOrder,
  readLinkOrder,
  UNLIKELY_TEXT,
} from '../../src/match/link-order.ts';
import { matchUnit, type UnitMatch } from '../../src/match/match-unit.ts';
import { RunTables } from '../../src/match/run-tables.ts';
import { noPatches } from '../../src/match/text-patch.ts';
import { matchedSections, namesToLookUp } from '../../src/match/text-sections.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

/**
 * Candidates at the right distance to every function of the section with a unique name; undefined if it has none. A weak
 * function is none of these: the one that the kernel has by that name can be another unit's.
 */
function byDistance(kernel: Kernel, object: ObjectFile, symbol: ElfSymbol): readonly Address[] | undefined {
  const unique = object.symbols.filter(
    ({ type, binding, place, name }) =>
      type === STT_FUNC &&
      binding !== STB_WEAK &&
      place === symbol.place &&
      name !== symbol.name &&
      kernel.named(name).length === 1,
  );
  if (unique.length === 0) return undefined;
  return kernel
    .named(symbol.name)
    .map(({ address }) => address)
    .filter((address) =>
      unique.every(({ name, value }) => kernel.named(name)[0]?.address === address + value - symbol.value),
    );
}

/** Two hundred units. */
const COMPILE_TIMEOUT_MS = 3_600_000;

let kernel: ImageKernel;
let matched: readonly UnitMatch[];

beforeAll(async () => {
  const cacheDir = testCacheDir();
  const debian = await debianSources(TEST_RELEASE, { cacheDir });
  const tree = await prepareDebianTree(debian, { cacheDir });
  const directories = ['ipc', 'kernel/*.c', 'kernel/time', 'kernel/locking', 'block'];
  const options = { jobs: cpus().length, onProgress: () => undefined };
  const { units, failures } = await compileDirectories(tree, directories, options);
  expect(failures).toEqual([]);

  kernel = await ImageKernel.open(debian.image, {});
  const tables = new RunTables(kernel);
  matched = await Promise.all(
    units
      .filter(({ target }) => target === VMLINUX)
      .map(async ({ path, target, file }) => {
        const object = readObject(await readFile(file), path);
        kernel.prefetch(namesToLookUp(object, target));
        const match = matchUnit(object, kernel, { tables, target, patches: noPatches });
        if (match.kind !== 'match') throw new Error(`${path} does not match`);
        return match;
      }),
  );
}, COMPILE_TIMEOUT_MS);

it('tells dozens of functions of one name apart, each as the list of symbols confirms', () => {
  const confirmed: string[] = [];
  for (const { object, text } of matched) {
    for (const symbol of object.symbols) {
      if (symbol.type !== STT_FUNC || typeof symbol.place !== 'number') continue;
      const placed = text.get(symbol.place);
      if (placed === undefined || kernel.named(symbol.name).length < 2) continue;
      const said = byDistance(kernel, object, symbol);
      if (said === undefined) continue;
      expect([object.path, symbol.name, said]).toEqual([
        object.path,
        symbol.name,
        [placed.base + symbol.value],
      ]);
      confirmed.push(symbol.name);
    }
  }
  expect(new Set(confirmed).size).toBeGreaterThanOrEqual(10);
});

it('has a place for every function, also for one that nothing refers to and many units have a copy of', () => {
  const unplaced = matched.flatMap(({ object, text }) =>
    matchedSections(object, VMLINUX)
      .filter(({ index }) => !text.has(index))
      .map(({ name }) => `${object.path} ${name}`),
  );
  // Weak functions, each in a section of its own that the linker has left out.
  expect(unplaced.filter((place) => !/ \.text\..*/.test(place) || place.endsWith(' .text.unlikely'))).toEqual(
    [],
  );
  expect(kernel.named('cpumask_weight.constprop.0').length).toBeGreaterThan(10);
});

it('knows the order in which units are linked, and it is that of the places that were found otherwise', () => {
  const order = readLinkOrder(kernel);
  if (order === undefined) throw new Error('no order');
  expect(order.pairs.length).toBeGreaterThan(2000);
  const placeOf = ({ object, text }: UnitMatch, name: string): MainText | undefined => {
    const section = object.sections.find((each) => each.name === name && text.has(each.index));
    const base = section === undefined ? undefined : text.get(section.index)?.base;
    return section === undefined || base === undefined ? undefined : { base, size: section.size };
  };
  const units = matched.flatMap((match) => {
    const [main, unlikely] = [placeOf(match, MAIN_TEXT), placeOf(match, UNLIKELY_TEXT)];
    return main === undefined || unlikely === undefined ? [] : [{ main, at: unlikely.base }];
  });
  let told = 0;
  for (const { main, at } of units) {
    expect(placeInLinkOrder(order, [at], main)).toBe(at);
    for (const other of units) {
      const place = placeInLinkOrder(order, [other.at, at], main);
      expect([at, undefined]).toContain(place);
      if (place !== undefined) told += 1;
    }
  }
  expect(told).toBeGreaterThan((units.length * units.length) / 2);
});
