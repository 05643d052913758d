/**
 * No unit is missed that a header is part of: what the text of the includes says, held against the lists that the compiler
 * wrote for make while it compiled whole directories; for all headers, and for those that a Debian release fixes.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { prepareDebianTree } from '../../scripts/kbuild/debian-tree.ts';
import { compileDirectories } from '../../scripts/match-kernel/compile-directories.ts';
import { type Configuration, readConfiguration } from '../../src/build/configuration-units.ts';
import { findCandidates } from '../../src/build/header-units.ts';
import { IncludeGraph } from '../../src/build/include-graph.ts';
import type { PreparedTree } from '../../src/build/tree.ts';
import { debianDiff } from '../../src/debian/debian-diff.ts';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';

const DIRECTORIES = ['ipc', 'net/core', 'net/8021q', 'fs/notify'] as const;
const FROM = '6.1.170-3';
const TO = '6.1.176-1';

let tree: PreparedTree;
let configuration: Configuration;
/** What make would compile a unit again for: by object, absolute paths. */
let recorded: ReadonlyMap<string, readonly string[]>;

/** The list `deps_x.o := ...` in the file that fixdep wrote beside an object. */
async function dependenciesOf(object: string): Promise<readonly string[]> {
  const file = path.join(tree.buildDir, path.dirname(object), `.${path.basename(object)}.cmd`);
  const text = await readFile(file, 'utf8');
  const lines = text.slice(text.indexOf('\ndeps_')).split('\n').slice(2);
  return lines
    .map((line) => line.replace(/\\$/, '').trim())
    .filter((line) => /^[\w./]+[^:]*$/.test(line) && !line.startsWith('$(wildcard'))
    .map((line) => path.resolve(tree.buildDir, line));
}

beforeAll(async () => {
  const debian = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  tree = await prepareDebianTree(debian, { cacheDir: testCacheDir() });
  configuration = await readConfiguration(tree, {});
  const { units, failures } = await compileDirectories(tree, DIRECTORIES, {
    jobs: 2,
    onProgress: () => undefined,
  });
  expect(failures).toEqual([]);
  recorded = new Map(
    await Promise.all(units.map(async ({ path: object }) => [object, await dependenciesOf(object)] as const)),
  );
});

describe('the units that a header is part of', () => {
  it('are all in the closures of the includes', () => {
    const graph = new IncludeGraph(tree);
    const byObject = new Map(configuration.units.map((unit) => [unit.command.object, unit]));
    const missed: string[] = [];
    let compared = 0;
    for (const [object, dependencies] of recorded) {
      const unit = byObject.get(object);
      if (unit === undefined) throw new Error(`kbuild was not asked about ${object}`);
      const closure = graph.closureOf(unit);
      missed.push(...dependencies.filter((file) => !closure.has(file)).map((file) => `${object}: ${file}`));
      compared += dependencies.length;
    }
    expect(missed).toEqual([]);
    expect(recorded.size).toBeGreaterThan(60);
    expect(compared).toBeGreaterThan(20_000);
  });

  it('are found for each header that a release fixes', async () => {
    const patch = await debianDiff(FROM, TO, { cacheDir: testCacheDir() });
    const headers = [...patch.matchAll(/^\+\+\+ b\/(include\/\S+\.h)$/gm)].map(([, name = '']) => name);
    let proven = 0;
    for (const header of headers) {
      const file = path.join(tree.source, header);
      const needed = [...recorded].filter(([, files]) => files.includes(file)).map(([object]) => object);
      if (needed.length === 0) continue;
      const found = findCandidates(tree, configuration, new IncludeGraph(tree), [header]);
      const objects = new Set(found.map(({ unit }) => unit.command.object));
      expect(
        needed.filter((object) => !objects.has(object)),
        header,
      ).toEqual([]);
      proven += 1;
      if (proven === 5) break;
    }
    expect(proven).toBeGreaterThanOrEqual(3);
  });
});
