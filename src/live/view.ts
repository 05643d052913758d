/**
 * view: what the core says, joined with what we know of each update.
 */
import path from 'node:path';
import { UsageError } from '../diagnostics/error.ts';
import { identityDifference } from '../update/kernel-identity.ts';
import type { Manifest } from '../update/manifest.ts';
import { updateModule } from '../update/update-id.ts';
import {
  abortCauseOf,
  type Conflict,
  conflictsOf,
  isCoreLoaded,
  listEntries,
  type Stage,
  stageOf,
} from './core-sysfs.ts';
import type { Engine } from './engine.ts';
import { type InstalledStatus, installedStatus } from './installed/status.ts';
import { lastEvent, readRecord, unitsInMemory } from './journal.ts';
import { livepatchOwner } from './livepatch-owner.ts';
import { isOfLivepatch, listLivepatched, livepatchStage, livepatchState } from './livepatch-state.ts';
import { tasksInTransition } from './livepatch-tasks.ts';
import { type InstalledUpdate, listInstalled, ModuleTree, readInstalled } from './module-directory.ts';
import { isModuleLoaded, srcversionOf } from './module-state.ts';
import { requireRoot } from './require-root.ts';
import { runningIdentity } from './running-identity.ts';
import type { SignatureVerdict } from './trust/judge.ts';
import { signatureLook } from './trust/look.ts';

export interface UpdateView {
  readonly id: string;
  /** `installed`: not in memory, but to be applied at boot, or modprobe takes its fixed modules. */
  readonly stage: Stage | 'installed';
  /** What has switched it, or is to. */
  readonly engine: Engine;
  /** Whether it is applied when this kernel boots. */
  readonly atBoot: boolean;
  /** Why an installed update is not applied; null where it is, or nothing was tried. */
  readonly notApplied: string | null;
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

/** An update that would be applied at boot, and of which the core knows nothing. */
function viewOfStored(
  tree: ModuleTree,
  { id, stored, why }: InstalledStatus,
  lookAt: ReturnType<typeof signatureLook>,
): UpdateView {
  const { update } = stored;
  return {
    id,
    stage: 'installed',
    engine: 'jump',
    atBoot: true,
    notApplied: why,
    description: update?.description ?? '',
    cves: update?.cves ?? [],
    signature: update === undefined ? null : lookAt(update),
    appliedAt: null,
    ageSeconds: null,
    functions: [],
    units: [],
    on: (update?.on ?? []).map((below) => below.id),
    abortCause: 'ok',
    conflicts: [],
    shadowed: [],
    modules: update === undefined ? [] : moduleViews(tree, update.manifest, []),
    patches: (update?.patches ?? []).map(({ name, bytes }) => ({
      name,
      text: Buffer.from(bytes).toString('utf8'),
    })),
  };
}

/** Whom a transition waits for; nobody where there is none. */
function livepatchConflicts(id: string, functions: readonly string[]): readonly Conflict[] {
  const state = livepatchState(id);
  if (state !== 'coming' && state !== 'leaving') return [];
  return tasksInTransition(state === 'coming' ? 1 : 0, functions);
}

function viewOf(
  id: string,
  lookAt: ReturnType<typeof signatureLook>,
  installed: InstalledStatus | undefined,
): UpdateView {
  const record = readRecord(id);
  const engine = isOfLivepatch(id) ? 'livepatch' : 'jump';
  const isCore = engine === 'jump';
  const stage = isCore ? stageOf(id) : livepatchStage(id);
  const appliedAt = stage === 'applied' ? lastEvent(id, 'done') : undefined;
  const units = record === undefined ? [] : unitsInMemory(record);
  const functions = units.flatMap((unit) => unit.functions.map((each) => each.preName));
  return {
    id,
    stage,
    engine,
    atBoot: installed !== undefined,
    notApplied: installed?.why ?? null,
    description: record?.manifest.description ?? '',
    cves: record?.manifest.cves ?? [],
    signature: record === undefined ? null : lookAt({ id, ...record }),
    appliedAt: appliedAt?.toISOString() ?? null,
    ageSeconds: appliedAt === undefined ? null : ageOf(appliedAt),
    functions,
    units: units.map((unit) => unit.path),
    on: (record?.manifest.on ?? []).map((below) => below.id),
    abortCause: isCore ? abortCauseOf(id) : 'ok',
    conflicts: isCore ? conflictsOf(id) : livepatchConflicts(id, functions),
    shadowed: units.flatMap(({ target, functions: replaced }) =>
      replaced.flatMap(({ preName }) => {
        const livepatch = livepatchOwner(preName, target);
        return livepatch === undefined || livepatch === updateModule(id)
          ? []
          : [{ function: preName, livepatch }];
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
    engine: 'jump',
    atBoot: false,
    notApplied: null,
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

/** An update that is installed for a kernel that is not running. */
export interface ElsewhereView {
  readonly id: string;
  /** `uname -r` and `uname -v` of its kernel; null where the file cannot be read. */
  readonly release: string | null;
  readonly banner: string | null;
  readonly file: string;
}

/** All that there is to see of updates on this machine. */
export interface MachineView {
  readonly updates: readonly UpdateView[];
  readonly elsewhere: readonly ElsewhereView[];
}

/** All updates that the core knows, those that are installed, and those that have left fixed modules; or one. */
export function viewMachine(id: string | undefined): MachineView {
  // The core tells root only; without it there is nothing to tell.
  const livepatched = listLivepatched();
  if (isCoreLoaded() || livepatched.length > 0) requireRoot('see which updates are applied');
  const lookAt = signatureLook();
  const tree = new ModuleTree();
  const { here, elsewhere } = installedStatus(runningIdentity());
  const known = [...listEntries(), ...livepatched].toSorted();
  const stored = here.filter((each) => !known.includes(each.id));
  const left = listInstalled(tree).filter(
    (each) => !known.includes(each.id) && !stored.some((other) => other.id === each.id),
  );
  const updates = [
    ...known.map(
      (each) => () =>
        viewOf(
          each,
          lookAt,
          here.find((one) => one.id === each),
        ),
    ),
    ...stored.map((each) => () => viewOfStored(tree, each, lookAt)),
    ...left.map((each) => () => viewOfInstalled(tree, each)),
  ];
  const ids = [...known, ...[...stored, ...left].map((each) => each.id)];
  if (id !== undefined && !ids.includes(id)) {
    throw new UsageError('unknown_update', `${id}: no update of this ID on this machine`, {
      hint: 'ksplice view lists those that there are',
    });
  }
  return {
    updates: updates.filter((_, index) => id === undefined || ids[index] === id).map((view) => view()),
    elsewhere: elsewhere.map(({ id: name, file, update }) => ({
      id: name,
      release: update?.kernel.release ?? null,
      banner: update?.kernel.banner ?? null,
      file,
    })),
  };
}

/** The updates of this kernel, or one. */
export function viewUpdates(id: string | undefined): readonly UpdateView[] {
  return viewMachine(id).updates;
}
