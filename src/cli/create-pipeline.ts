/**
 * create: from a patch to the contents of an update file. The passes, in order.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type BuiltUnit, buildUnits } from '../build/build-units.ts';
import { buildCoreObjects, type CoreObjects } from '../build/core-objects.ts';
import { readSymbolCrc } from '../build/module-symvers.ts';
import type { Patch } from '../build/patch/model.ts';
import { parsePatch } from '../build/patch/parse-patch.ts';
import type { PatchText } from '../build/patch/patch-text.ts';
import type { PreparedTree } from '../build/tree.ts';
import { InternalError, UsageError } from '../diagnostics/error.ts';
import { readObject } from '../elf/read-object.ts';
import { linkCore } from '../link/link-core.ts';
import type { MatchMode } from '../match/match-unit.ts';
import { encodeChanges, type UpdateChanges } from '../update/changes.ts';
import { normalizeCveIds } from '../update/cve-ids.ts';
import type { Update, UpdateContents, UpdateModule, UpdatePatch, UpdateUnit } from '../update/update.ts';
import { checkUpdateId, deriveUpdateId } from '../update/update-id.ts';
import { withCacheInUse } from './cache-use.ts';
import { buildWholeModules } from './create-modules.ts';
import { checkBelow, patchesOf, readBelow } from './create-on.ts';
import { explainGitFailure, findPatches, type PatchChoice } from './create-patches.ts';
import { prepareKernel } from './create-prepare.ts';
import { compareUnits } from './create-units.ts';
import type { KernelChoice, KernelParts } from './kernel-parts.ts';
import { oneLine } from './one-line.ts';

export interface CreateOptions extends KernelChoice, PatchChoice {
  /** CVE numbers of what it fixes, in any order. */
  readonly cve?: readonly string[] | undefined;
  readonly id?: string | undefined;
  /** Paths of the updates that it shall be on top of, from the lowest up. */
  readonly on?: readonly string[] | undefined;
  readonly description?: string | undefined;
  /** How the units will be matched; strict unless told. */
  readonly match?: MatchMode | undefined;
  /** Carry whole modules, too. */
  readonly buildModules?: boolean | undefined;
  /** Most units to compile for a changed header. */
  readonly maxUnits?: number | undefined;
  readonly jobs: number;
  readonly cacheDir: string;
  /** The directory of the core's sources. */
  readonly coreSources: string;
  /** The directory of what authors of patches include. */
  readonly authorHeaders: string;
  /** Name and version of this program. */
  readonly createdBy: string;
  readonly signal: AbortSignal;
  readonly onProgress: (step: string) => void;
}

export interface CreatedUpdate {
  readonly contents: UpdateContents;
  /** What the author should know: files passed over, effects that are missing. */
  readonly notes: readonly string[];
}

/**
 * Makes an update. Throws NoChangeError if the patch changes no code, RefusedError with all reasons in
 * `details.diagnostics`, FormatError for a patch that is malformed, does not apply or does not compile.
 */
export async function createUpdate(options: CreateOptions): Promise<CreatedUpdate> {
  if (options.id !== undefined) {
    checkUpdateId(options.id);
  }
  const cves = normalizeCveIds(options.cve ?? []);
  const below = readBelow(options.on ?? [], options.id);
  if (below.length > 0 && options.buildModules === true) {
    throw new UsageError(
      'usage',
      '--build-modules and --on: a whole module has the patches of one update only',
      {
        hint: 'give all patches with --patch, for one update, or leave out --build-modules',
      },
    );
  }

  // The patches first: what is wrong with them shows at once, and costs no download.
  const patches = await findPatches(options, options.signal);
  const parsed = patches.map(({ name, bytes }) => parsePatch(bytes, name));
  return await withCacheInUse(options, () => buildUpdate(options, { cves, below, patches, parsed }));
}

/** What the user gave, read. */
interface Inputs {
  readonly cves: readonly string[];
  /** The updates that it shall be on top of, from the lowest up. */
  readonly below: readonly Update[];
  readonly patches: readonly PatchText[];
  /** The same patches. */
  readonly parsed: readonly Patch[];
}

async function buildUpdate(
  options: CreateOptions,
  { cves, below, patches, parsed }: Inputs,
): Promise<CreatedUpdate> {
  // The kernel, and a tree in which its units compile as the distributor compiled them.
  const { kernel, tree } = await prepareKernel(options);
  const coreInterface = await readCoreInterface(options.coreSources);
  checkBelow(below, kernel, coreInterface);
  const moduleLayoutCrc = await readSymbolCrc(kernel.headers, 'module_layout');

  // The affected units, before and after; then our own code for this kernel.
  const built = await inWorkDir(options.cacheDir, async (workDir) =>
    buildUnits({
      ...options,
      tree,
      patches: parsed,
      below: patchesOf(below),
      workDir,
      wholeModules: options.buildModules,
    }).catch((error: unknown) => {
      throw explainGitFailure(error, options);
    }),
  );
  const compared = await compareUnits(built, { below, kernel, tree }, options);
  const modules = await wholeModules(built.units, compared.units, options, tree, kernel.headers);
  const objects = await buildCoreObjects({ ...options, tree });
  const core = { ...objects, core: linkCore(readObject(objects.core, 'core.o'), moduleLayoutCrc) };

  const contents = assemble({
    options,
    kernel,
    tree,
    moduleLayoutCrc,
    coreInterface,
    core,
    cves,
    below,
    patches,
    units: compared.units,
    changes: compared.changes,
    modules,
  });
  return { contents, notes: compared.notes };
}

/** The modules as a whole, if they are wanted. */
async function wholeModules(
  built: readonly BuiltUnit[],
  units: readonly UpdateUnit[],
  options: CreateOptions,
  tree: PreparedTree,
  symvers: string,
): Promise<readonly UpdateModule[]> {
  if (options.buildModules !== true) return [];
  return await inWorkDir(options.cacheDir, (workDir) =>
    buildWholeModules(built, units, { ...options, tree, symvers, workDir }),
  );
}

/** Gives a directory of this run's own, and removes it whatever happens. */
async function inWorkDir<T>(cacheDir: string, work: (directory: string) => Promise<T>): Promise<T> {
  const parent = path.join(cacheDir, 'work');
  await mkdir(parent, { recursive: true });
  const directory = await mkdtemp(path.join(parent, 'create-'));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

interface Parts {
  readonly options: CreateOptions;
  readonly kernel: KernelParts;
  readonly tree: PreparedTree;
  readonly moduleLayoutCrc: number;
  readonly coreInterface: number;
  readonly core: CoreObjects;
  readonly cves: readonly string[];
  readonly below: readonly Update[];
  readonly patches: readonly UpdatePatch[];
  readonly units: readonly UpdateUnit[];
  readonly changes: UpdateChanges;
  readonly modules: readonly UpdateModule[];
}

function assemble({
  options,
  kernel,
  tree,
  moduleLayoutCrc,
  coreInterface,
  core,
  cves,
  below,
  patches,
  units,
  modules,
  changes,
}: Parts): UpdateContents {
  const id = options.id ?? idFor({ kernel, core, below, patches, units, modules });
  return {
    id,
    description: options.description ?? subjectOf(patches),
    matching: options.match ?? 'strict',
    cves,
    on: below.map(({ id, digest }) => ({ id, digest })),
    kernel: {
      release: kernel.release,
      version: kernel.version,
      banner: kernel.banner,
      arch: 'x86_64',
      compiler: tree.compiler,
      vermagic: core.vermagic,
      moduleLayoutCrc,
    },
    coreInterface,
    patches,
    units,
    modules,
    changes: encodeChanges(changes, `${id}.ksplice`),
    core: core.core,
    stub: core.stub,
    livepatch: core.livepatch,
    createdBy: options.createdBy,
  };
}

function idFor({
  kernel,
  core,
  below,
  patches,
  units,
  modules,
}: Pick<Parts, 'kernel' | 'core' | 'below' | 'patches' | 'units' | 'modules'>): string {
  const { release, version, banner } = kernel;
  return deriveUpdateId([
    new TextEncoder().encode(JSON.stringify([release, version, banner])),
    ...below.map(({ digest }) => new TextEncoder().encode(digest)),
    ...patches.map(({ bytes }) => bytes),
    ...units.flatMap((unit) => [unit.pre, unit.replacement]),
    core.core,
    core.stub,
    ...(core.livepatch === undefined ? [] : [core.livepatch]),
    ...modules.map(({ bytes }) => bytes),
  ]);
}

/** `Subject: [PATCH 1/2] ipv4: fix it` of the first patch that has one, else the names of the patches. */
function subjectOf(patches: readonly UpdatePatch[]): string {
  for (const { bytes } of patches) {
    const subject = /^Subject: (?:\[[^\]]*\] *)*(.+(?:\n[ \t].+)*)/m.exec(
      Buffer.from(bytes).toString('utf8'),
    )?.[1];
    if (subject !== undefined) {
      return oneLine(subject, 200);
    }
  }
  return oneLine(patches.map(({ name }) => name).join(', '), 200);
}

async function readCoreInterface(coreSources: string): Promise<number> {
  const header = await readFile(path.join(coreSources, 'ksplice.h'), 'utf8');
  const version = /^#define KSPLICE_INTERFACE\s+(\d+)$/m.exec(header)?.[1];
  if (version === undefined) {
    throw new InternalError('unexpected', `${coreSources}/ksplice.h: no KSPLICE_INTERFACE`);
  }
  return Number(version);
}
