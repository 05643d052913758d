/**
 * view: what the core says, joined with what we know of each update.
 */
import path from 'node:path';
import { UsageError } from '../diagnostics/error.ts';
import { identityDifference } from '../update/kernel-identity.ts';
import type { Manifest } from '../update/manifest.ts';
import {
  abortCauseOf,
  type Conflict,
  conflictsOf,
  hasEntry,
  isCoreLoaded,
  listEntries,
  type Stage,
  stageOf,
} from './core-sysfs.ts';
import { lastEvent, readRecord, unitsInMemory } from './journal.ts';
import { isModuleLoaded, srcversionOf } from './kernel-module.ts';
import { livepatchOwner } from './livepatch-owner.ts';
import { type InstalledUpdate, listInstalled, ModuleTree, readInstalled } from './module-directory.ts';
import { requireRoot } from './require-root.ts';
import { runningIdentity } from './running-identity.ts';
import type { SignatureVerdict } from './trust/judge.ts';
import { signatureLook } from './trust/look.ts';

export interface UpdateView {
  readonly id: string;
  /** `installed`: not in memory, but modprobe takes its fixed modules. */
  readonly stage: Stage | 'installed';
  readonly description: string;
  /** CVE numbers of what it fixes, as its author gave them. */
  readonly cves: readonly string[];
  /** Who signed it, as this machine sees it now. */
  readonly signature: SignatureVerdict | null;
  /** ISO time of the last apply, or null if it is not applied. */
  readonly appliedAt: string | null;
  /** Seconds since then, by this machine's clock; null if it is not applied. */
  readonly ageSeconds: number | null;
  readonly functions: readonly string[];
  readonly units: readonly string[];
  /** IDs of the updates that it is on top of, from the lowest up. */
  readonly on: readonly string[];
  readonly abortCause: string;
  readonly conflicts: readonly Conflict[];
  /** Functions that a livepatch loaded later has taken over. */
  readonly shadowed: readonly { readonly function: string; readonly livepatch: string }[];
  /** Modules that it has installed as a whole, or was applied without. */
  readonly modules: readonly ModuleView[];
  readonly patches: readonly { readonly name: string; readonly text: string }[];
}

export interface ModuleView {
  readonly name: string;
  /** Path of the fixed module, or null if it is not there, or not as it was installed. */
  readonly file: string | null;
  /** Whether modprobe takes it. */
  readonly isFirst: boolean;
  readonly loaded: 'no' | 'fixed' | 'another';
  /** Why it should not be there: it was made for another build of this kernel. */
  readonly stale: string | null;
}

function loadedAs(name: string, srcversion: string): ModuleView['loaded'] {
  if (!isModuleLoaded(name)) return 'no';
  return srcversionOf(name) === srcversion ? 'fixed' : 'another';
}

/** As modprobe's index has it; without one it takes nothing. */
function firstFile(tree: ModuleTree, name: string): string | undefined {
  try {
    return tree.firstFile(name);
  } catch {
    return undefined;
  }
}

/** `skipped`: what it was applied without, if it is applied. */
function moduleViews(
  tree: ModuleTree,
  { id, kernel, modules = [] }: Manifest,
  skipped: readonly string[],
): readonly ModuleView[] {
  const installed = readInstalled(tree, id)?.modules ?? [];
  const stale = identityDifference(kernel, runningIdentity(), 'is running') ?? null;
  return modules.flatMap(({ name, srcversion }): ModuleView[] => {
    const there = installed.find((each) => each.name === name && each.state !== 'gone');
    if (there === undefined && !skipped.includes(name)) return [];
    const file = there?.state === 'ours' && there.srcversion === srcversion ? there.path : null;
    const isFirst = file !== null && firstFile(tree, name) === path.relative(tree.root, file);
    return [{ name, file, isFirst, loaded: loadedAs(name, srcversion), stale }];
  });
}

/** Whole seconds; a clock that was set back makes none negative. */
function ageOf(time: Date): number {
  return Math.max(0, Math.floor((Date.now() - time.getTime()) / 1000));
}

function viewOf(id: string, lookAt: ReturnType<typeof signatureLook>): UpdateView {
  const record = readRecord(id);
  const stage = stageOf(id);
  const appliedAt = stage === 'applied' ? lastEvent(id, 'done') : undefined;
  const units = record === undefined ? [] : unitsInMemory(record);
  const functions = units.flatMap((unit) => unit.functions.map((each) => each.preName));
  return {
    id,
    stage,
    description: record?.manifest.description ?? '',
    cves: record?.manifest.cves ?? [],
    signature: record === undefined ? null : lookAt({ id, ...record }),
    appliedAt: appliedAt?.toISOString() ?? null,
    ageSeconds: appliedAt === undefined ? null : ageOf(appliedAt),
    functions,
    units: units.map((unit) => unit.path),
    on: (record?.manifest.on ?? []).map((below) => below.id),
    abortCause: abortCauseOf(id),
    conflicts: conflictsOf(id),
    shadowed: units.flatMap(({ target, functions: replaced }) =>
      replaced.flatMap(({ preName }) => {
        const livepatch = livepatchOwner(preName, target);
        return livepatch === undefined ? [] : [{ function: preName, livepatch }];
      }),
    ),
    modules: record === undefined ? [] : moduleViews(new ModuleTree(), record.manifest, record.skipped),
    patches: record?.patches ?? [],
  };
}

/** An update of which only the fixed modules are on the machine. */
function viewOfInstalled(tree: ModuleTree, { id, manifest }: InstalledUpdate): UpdateView {
  return {
    id,
    stage: 'installed',
    description: manifest.description,
    cves: manifest.cves ?? [],
    signature: null,
    appliedAt: null,
    ageSeconds: null,
    functions: [],
    units: [],
    on: (manifest.on ?? []).map((below) => below.id),
    abortCause: 'ok',
    conflicts: [],
    shadowed: [],
    modules: moduleViews(tree, manifest, []),
    patches: [],
  };
}

/** All updates that the core knows, and those that have left fixed modules; or one. */
export function viewUpdates(id: string | undefined): readonly UpdateView[] {
  // The core tells root only; without it there is nothing to tell.
  if (isCoreLoaded()) requireRoot('see which updates are applied');
  const lookAt = signatureLook();
  const tree = new ModuleTree();
  const installed = listInstalled(tree).filter((each) => !hasEntry(each.id));
  if (id === undefined) {
    return [
      ...listEntries().map((each) => viewOf(each, lookAt)),
      ...installed.map((each) => viewOfInstalled(tree, each)),
    ];
  }
  const left = installed.find((each) => each.id === id);
  if (left !== undefined) return [viewOfInstalled(tree, left)];
  if (!/^[a-z0-9_]{1,32}$/.test(id) || !hasEntry(id)) {
    throw new UsageError('unknown_update', `${id}: no update of this ID on this machine`, {
      hint: 'ksplice view lists those that there are',
    });
  }
  return [viewOf(id, lookAt)];
}
