/**
 * `npm run bench -- create`: what making an update costs, cold and warm, one file and a hundred.
 *
 * The program is built once into a folder of its own, and has a cache of its own that the cold create fills: what
 * else runs on the machine or in the checkout has no part in either. What was measured with the same program is
 * kept, so that a run that was interrupted goes on where it stopped; `--again` measures anew.
 */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { freezeTool } from '../scripts/corpus/frozen-tool.ts';
import { prepareDebianTree } from '../scripts/kbuild/debian-tree.ts';
import { readConfiguration } from '../src/build/configuration-units.ts';
import { objectOf } from '../src/build/locate-units.ts';
import { fetchPackages } from '../src/debian/apt.ts';
import { debianDiff } from '../src/debian/debian-diff.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { findKernel } from '../src/debian/find-packages.ts';
import { changeUnits, type UnitPatch } from './change-units.ts';
import { createReport, type Measured } from './create-report.ts';
import { sharesOf, stepsOf } from './create-steps.ts';
import { buildProcessTimes, measure, peakOfAll } from './process-times.ts';

export const CREATE_PARTS = ['cold', 'warm', 'single', 'hundred'] as const;
export type CreatePart = (typeof CREATE_PARTS)[number];

export interface CreateBench {
  readonly root: string;
  /** The user's cache: packages come from there, and results are kept there. */
  readonly cacheDir: string;
  readonly release: string;
  /** The fix of one file: the difference of this file between two versions of the package. */
  readonly fix: { readonly from: string; readonly to: string; readonly file: string };
  readonly parts: readonly CreatePart[];
  readonly again: boolean;
  readonly print: (line: string) => void;
}

const WARM_RUNS = 5;
const SINGLES = 20;
const MANY = 100;

interface Place extends CreateBench {
  /** Everything of this benchmark. */
  readonly home: string;
  /** XDG_CACHE_HOME of the creates. */
  readonly cacheHome: string;
  readonly program: string;
  readonly tool: readonly string[];
  readonly toolId: string;
}

export async function benchCreate(bench: CreateBench): Promise<void> {
  const home = path.join(bench.cacheDir, 'bench', 'create');
  const { id, argv } = await freezeTool(bench.root, path.join(home, 'tools'));
  const program = await buildProcessTimes(home);
  const place = { ...bench, home, cacheHome: path.join(home, 'cache'), program, tool: argv, toolId: id };
  for (const part of bench.parts) await runPart(place, part);
}

async function runPart(place: Place, part: CreatePart): Promise<void> {
  switch (part) {
    case 'cold':
      await once(place, 'cold', 1, async () => {
        const fix = await theFix(place);
        await emptyCache(place);
        return [() => create(place, fix, [])];
      });
      break;
    case 'warm':
      await once(place, 'warm', WARM_RUNS, async () => {
        const fix = await theFix(place);
        await warm(place, fix);
        return Array.from({ length: WARM_RUNS }, () => () => createUnknown(place, [fix]));
      });
      await once(place, 'known', WARM_RUNS, async () => {
        const fix = await theFix(place);
        await warm(place, fix);
        return Array.from({ length: WARM_RUNS }, () => () => create(place, fix, []));
      });
      break;
    case 'single':
      await once(place, 'single', SINGLES, async () => {
        const patches = (await manyPatches(place)).filter((_, index) => index % (MANY / SINGLES) === 0);
        return patches.map((patch) => () => createUnknown(place, [patch]));
      });
      break;
    case 'hundred':
      await once(place, 'hundred', 1, async () => {
        const patches = await manyPatches(place);
        return [() => createUnknown(place, patches)];
      });
      break;
  }
}

/** Makes `count` creates, less those that were measured before with the same program, and prints what all took. */
async function once(
  place: Place,
  name: keyof typeof createReport,
  count: number,
  plan: () => Promise<readonly (() => Promise<Measured>)[]>,
): Promise<void> {
  const file = path.join(place.home, 'results', `${name}-${place.toolId}.json`);
  const stored = place.again ? undefined : await readFile(file, 'utf8').catch(() => undefined);
  const measured: Measured[] = stored === undefined ? [] : JSON.parse(stored);
  if (measured.length < count) {
    const creates = await plan();
    await mkdir(path.dirname(file), { recursive: true });
    for (const one of creates.slice(measured.length)) {
      measured.push(await one());
      await writeFile(`${file}.new`, JSON.stringify(measured));
      await rename(`${file}.new`, file);
    }
  }
  for (const line of createReport[name](measured)) place.print(line);
}

/** A cache with nothing in it but the packages: the network is not ours to measure. */
async function emptyCache({ cacheDir, cacheHome, release }: Place): Promise<void> {
  await rm(cacheHome, { recursive: true, force: true });
  const own = path.join(cacheHome, 'ksplice');
  const { packages } = await findKernel(release, ['source', 'headers', 'image'], { cacheDir: own });
  const wanted = [...packages.values()];
  const files = await fetchPackages(wanted, { cacheDir });
  const store = path.join(own, 'debian', 'packages');
  await mkdir(store, { recursive: true });
  for (const file of files) await copyFile(file, path.join(store, path.basename(file)));
}

/** Sees to it that the tree is prepared, the core compiled and the source read, if the cold create was not run. */
async function warm(place: Place, fix: UnitPatch): Promise<void> {
  if (!existsSync(path.join(place.cacheHome, 'ksplice', 'build'))) await emptyCache(place);
  await create(place, fix, []);
}

async function theFix({ cacheDir, fix }: Place): Promise<UnitPatch> {
  const text = await debianDiff(fix.from, fix.to, { cacheDir, files: [fix.file] });
  return { file: fix.file, text };
}

async function manyPatches(place: Place): Promise<readonly UnitPatch[]> {
  await warm(place, await theFix(place));
  const { tree, source } = await preparedTree(place);
  const { units } = await readConfiguration(tree, {});
  const sources = units.flatMap((unit) => {
    // KVM's are compiled as arch/x86/kvm/../../../virt/kvm/X.o.
    const isPlain = unit.source.endsWith('.c') && path.normalize(unit.source) === unit.source;
    return isPlain &&
      unit.isListed &&
      !path.isAbsolute(unit.source) &&
      unit.command.module?.includes(':') !== true
      ? [unit.source]
      : [];
  });
  return await changeUnits(source, sources, MANY);
}

async function preparedTree({ cacheHome, release }: Place): Promise<{
  readonly tree: Awaited<ReturnType<typeof prepareDebianTree>>;
  readonly source: string;
}> {
  const options = { cacheDir: path.join(cacheHome, 'ksplice') };
  const kernel = await debianSources(release, options);
  return { tree: await prepareDebianTree(kernel, options), source: kernel.source };
}

/** A create that knows its kernel and nothing of its units. */
async function createUnknown(place: Place, patches: readonly UnitPatch[]): Promise<Measured> {
  const { tree } = await preparedTree(place);
  for (const { file } of patches) {
    const object = objectOf(file);
    const command = path.join(path.dirname(object), `.${path.basename(object)}.cmd`);
    for (const known of [path.join('.ksplice', 'units', `${file}.json`), object, command]) {
      await rm(path.join(tree.buildDir, known), { force: true });
    }
  }
  const [first, ...more] = patches;
  if (first === undefined) throw new Error('no patch');
  return await create(place, first, more);
}

async function create(place: Place, first: UnitPatch, more: readonly UnitPatch[]): Promise<Measured> {
  const patch = path.join(place.home, 'bench.patch');
  await writeFile(patch, [first, ...more].map(({ text }) => text).join(''), 'latin1');
  const update = path.join(place.home, 'bench.ksplice');
  const flags = ['--json', '--kernel', place.release, '--patch', patch, '--id', 'bench', '-o', update];
  const measured = await measure(place.program, [...place.tool, 'create', ...flags], {
    XDG_CACHE_HOME: place.cacheHome,
  });
  if (measured.exitCode !== 0) {
    throw new Error(`create of ${first.file}: exit status ${measured.exitCode}\n${measured.stdout}`);
  }
  const { units }: { readonly units: readonly string[] } = JSON.parse(measured.stdout);
  return {
    files: 1 + more.length,
    units: units.length,
    wall: measured.wall,
    load: measured.load,
    steps: stepsOf(measured),
    shares: sharesOf(measured),
    ownPeakKb: measured.processes.at(-1)?.peakKb ?? 0,
    peakKb: peakOfAll(measured.processes),
  };
}
