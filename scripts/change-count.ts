/**
 * `npm run change-count`: how many files of the corpus change an object, and how many of these an update was made of,
 * counted without the program: the compiler, readelf and objdump say what changes. Run it after `npm run corpus`.
 *
 * Nothing here may import what differencing is made of. Of the corpus it reads the patches and how `create` ended,
 * and of the prepared tree kbuild's rules for its units, which `create` keeps there.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cacheDir } from '../src/debian/cache-dir.ts';
import { debianSources } from '../src/debian/debian-sources.ts';
import { type KernelTree, readUnits } from './change-count/compile-both.ts';
import { countFile } from './change-count/count-file.ts';
import { type CountedFile, countText } from './change-count/count-text.ts';
import { kindsOf } from './change-count/kinds.ts';
import { prepareDebianTree } from './kbuild/debian-tree.ts';

const RELEASE = '6.1.0-47-cloud-amd64';
const FROM = '6.1.170-3';
const TO = '6.1.176-1';
const AT_ONCE = 1;

/** Paths of the files that `create` came to an end with, and how. */
async function readOutcomes(corpus: string): Promise<ReadonlyMap<string, string>> {
  const names = await readdir(corpus, { recursive: true });
  const files = names
    .filter((name) => path.basename(name) === 'create.record.json')
    .map((name) => path.dirname(name))
    .toSorted();
  const outcomes = await Promise.all(
    files.map(async (file) => {
      const record: unknown = JSON.parse(
        await readFile(path.join(corpus, file, 'create.record.json'), 'utf8'),
      );
      const outcome =
        typeof record === 'object' && record !== null && 'outcome' in record ? record.outcome : '';
      return [file, String(outcome)] as const;
    }),
  );
  return new Map(outcomes);
}

interface Kernel {
  readonly tree: KernelTree;
  readonly units: Awaited<ReturnType<typeof readUnits>>;
}

async function countOne(
  { tree, units }: Kernel,
  corpus: string,
  file: string,
  outcome: string,
  work: string,
): Promise<CountedFile> {
  const directory = path.join(corpus, file);
  const { sections, structs, error } = await countFile(tree, file, units.get(file) ?? [], {
    directory,
    work,
    wantStructs: outcome !== 'made',
  });
  const kinds = new Set(kindsOf(file, sections));
  // No section shows that the members of a struct have other places.
  if (structs !== null && structs.length > 0 && kinds.has('code')) kinds.add('layout');
  const told = [...sections.map(({ name, change }) => `${name} (${change})`), ...(structs ?? [])];
  return { file, outcome, kinds, changes: told, error };
}

async function main(only: string | undefined): Promise<void> {
  const cache = cacheDir(process.env);
  const corpus = path.join(cache, 'corpus', `${FROM}..${TO}`, 'files');
  const prepared = await prepareDebianTree(await debianSources(RELEASE, { cacheDir: cache }), {
    cacheDir: cache,
  });
  const tree = { source: prepared.source, build: prepared.buildDir };
  const units = await readUnits(tree);
  // Those without an update first: what there is to know is known of them.
  const outcomes = [...(await readOutcomes(corpus))]
    .filter(([file]) => only === undefined || file.startsWith(only))
    .toSorted(([, a], [, b]) => Number(a === 'made') - Number(b === 'made'));
  const work = await mkdtemp(path.join(tmpdir(), 'ksplice-count-'));
  const counted: CountedFile[] = [];
  const waiting = outcomes.values();
  try {
    const worker = async (_: unknown, at: number): Promise<void> => {
      for (const [file, outcome] of waiting) {
        const result = await countOne({ tree, units }, corpus, file, outcome, path.join(work, String(at)));
        counted.push(result);
        const found = result.error ?? [...result.kinds].join(' ');
        process.stdout.write(`[${counted.length}/${outcomes.length}] ${file}: ${outcome}: ${found}\n`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  process.stdout.write(`\n${countText(counted)}`);
}

await main(process.argv[2]);
