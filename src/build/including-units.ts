/**
 * The passes from patched headers, and files that appear or vanish, to the units to compile; with what speaks
 * against it. The files that the patches bring are written here, too: patch(1) gets to see changes only.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, RefusedError } from '../diagnostics/error.ts';
import type { AffectedUnit, BuildUnitsOptions } from './build-units.ts';
import { detoursOf } from './compile-command.ts';
import { type Configuration, readConfiguration } from './configuration-units.ts';
import {
  type Candidate,
  compareCandidates,
  differingConstants,
  findCandidates,
  makesHeader,
} from './header-units.ts';
import { IncludeGraph, searchPathOf } from './include-graph.ts';
import { objectOf } from './locate-units.ts';
import { completeMirror } from './mirror-tree.ts';
import { writeNewFile } from './new-file.ts';
import type { Refusal, TouchedFiles } from './touched-files.ts';

/** Compiling so many units thrice takes about an hour on two processors. */
const MAX_UNITS = 400;
/** Preprocessing a unit twice takes about as long as compiling it once. */
const LOOKED_AT_PER_COMPILED = 4;

/** Headers from which host programs make other files, which shows in no command (`security/selinux/flask.h`). */
const hostRead =
  /^(?:security\/selinux\/include\/(?:classmap|initial_sid_to_string)|lib\/crc(?:32|64)defs)\.h$/;

interface Known {
  /** The patched tree, not complete yet. */
  readonly mirror: string;
  /** Paths that are in it. */
  readonly patched: readonly string[];
  /** Paths that updates below have taken away. */
  readonly removed: readonly string[];
  /** If there are refusals already, nothing more is run than what finds others. */
  readonly known: readonly Refusal[];
  /** Units that will be compiled in any case. */
  readonly units: readonly AffectedUnit[];
}

export interface IncludingUnits {
  readonly units: readonly AffectedUnit[];
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
}

/** Completes `mirror` and finds the units in which one of `touched.included` makes a difference. */
export async function findIncludingUnits(
  options: BuildUnitsOptions,
  touched: TouchedFiles,
  { mirror, patched, removed, known, units }: Known,
): Promise<IncludingUnits> {
  const { tree, onProgress } = options;
  await writeAddedFiles(options, touched, mirror);

  // All units of the configuration, and what each may include.
  const configuration = await readConfiguration(tree, options);
  const graph = new IncludeGraph(tree, touched.added);
  onProgress?.('finding the units that include the patched files');
  const candidates = findCandidates(tree, configuration, graph, touched.included);
  graph.save();

  // What the paths and the includes tell against it, before anything is run.
  const refusals = [...refusalsByName(configuration, touched, candidates)];
  const reached = new Set(candidates.flatMap(({ files }) => files));
  const notes = touched.included
    .filter((file) => !reached.has(file) && !refusals.some((one) => one.file === file))
    .map((file) => `${file}: ignored: no unit of this configuration includes it`);
  if (known.length + refusals.length > 0) return { units: [], refusals, notes };

  // Preprocess them before and after, to see where it makes a difference.
  await completeMirror(mirror, tree.source, patched, {
    removed: [...touched.removed, ...removed],
    directories: [
      ...graph.climbingDirectories(),
      ...searchedDirectories(tree.source, candidates),
      ...detoursOf([...units, ...candidates.map(({ unit }) => unit)], tree.source),
    ],
  });
  const sure = new Set(units.map((unit) => unit.command.object));
  const open = candidates.filter(({ unit }) => !sure.has(unit.command.object));
  const max = options.maxUnits ?? MAX_UNITS;
  if (open.length > LOOKED_AT_PER_COMPILED * max) throw tooManyToLookAt(open.length, touched, max);
  const compared = await compareCandidates(tree, mirror, open, [...patched, ...touched.removed], options);
  refusals.push(...compared.refusals);
  notes.push(...compared.notes);
  for (const candidate of compared.affected.filter(makesHeader)) {
    const constants = await differingConstants(tree, mirror, candidate, options);
    if (constants.length === 0) continue;
    refusals.push({
      file: candidate.files[0] ?? '',
      message: `${candidate.files.join(', ')} changes constants that ${candidate.unit.source} makes for all units: ${constants.slice(0, 5).join(', ')}`,
    });
  }
  const affected = compared.affected.filter((candidate) => !makesHeader(candidate));
  notes.push(
    `${touched.included.join(', ')}: ${candidates.length} units may include it; ${compared.same} have the same text after it, ${compared.unused} do not use what changes, ${affected.length} are compiled`,
  );
  if (affected.length > max && refusals.length === 0) throw tooMany(affected, touched, max);
  return {
    units: affected.map(({ unit, files }) => ({
      source: unit.source,
      command: unit.command,
      patched: files,
    })),
    refusals,
    notes,
  };
}

/** Directories in the tree that the units' includes are looked for in: `../x.h` may start there, too. */
function searchedDirectories(source: string, candidates: readonly Candidate[]): readonly string[] {
  const searched = candidates.flatMap(({ unit }) => searchPathOf(unit.command.compiler, source).directories);
  return [...new Set(searched)].flatMap((directory) =>
    directory.startsWith(`${source}/`) && existsSync(directory) ? [directory.slice(source.length + 1)] : [],
  );
}

function* refusalsByName(
  configuration: Configuration,
  touched: TouchedFiles,
  candidates: readonly Candidate[],
): Generator<Refusal> {
  const reached = new Set(candidates.flatMap(({ files }) => files));
  for (const file of touched.included) {
    const step = hostRead.test(file) ? 'a host program' : configuration.readBySteps.get(file);
    if (step !== undefined) {
      yield { file, message: `${file} is read by a step of the build (${step}): not supported` };
    }
  }
  const objects = new Set(configuration.units.map((unit) => unit.command.object));
  for (const file of touched.removed) {
    if (file.endsWith('.c') && objects.has(objectOf(file)))
      yield {
        file,
        message: `${file} is deleted, and ${objectOf(file)} is a unit of this kernel: not supported`,
      };
  }
  for (const file of touched.added) {
    if (!file.endsWith('.c') || reached.has(file)) continue;
    yield {
      file,
      message: `${file} is a new file that no unit includes, and no patched Makefile lists ${path.basename(objectOf(file))}`,
    };
  }
}

function tooManyToLookAt(count: number, touched: TouchedFiles, max: number): RefusedError {
  const most = LOOKED_AT_PER_COMPILED * max;
  return new RefusedError(
    'refused',
    `${touched.included.join(', ')} may be included by ${count} units, and at most ${most} are looked at unless told otherwise`,
    {
      hint: `--max-units ${Math.ceil(count / LOOKED_AT_PER_COMPILED)} allows it; it takes hours on few processors`,
      details: { units: count, limit: most },
    },
  );
}

function tooMany(affected: readonly Candidate[], touched: TouchedFiles, max: number): RefusedError {
  return new RefusedError(
    'refused',
    `${touched.included.join(', ')} changes ${affected.length} units, and at most ${max} are compiled unless told otherwise`,
    {
      hint: `compiling them takes about ${Math.ceil((affected.length * 6) / 60)} minutes of processor time; --max-units ${affected.length} allows it`,
      details: { units: affected.map(({ unit }) => unit.command.object), limit: max },
    },
  );
}

/** Throws FormatError for a file that exists already, or that the patches bring twice. */
async function writeAddedFiles(
  { tree, patches }: BuildUnitsOptions,
  touched: TouchedFiles,
  mirror: string,
): Promise<void> {
  const added = new Set(touched.added);
  const written = new Set<string>();
  for (const patch of patches) {
    for (const file of patch.files) {
      if (file.kind !== 'new' || !added.has(file.path)) continue;
      const isThere = (await stat(path.join(tree.source, file.path)).catch(() => undefined)) !== undefined;
      if (isThere || written.has(file.path)) {
        throw new FormatError(
          'patch_does_not_apply',
          `${patch.name}:${file.line}: ${file.path} is a new file in the patch, and exists already`,
          { details: { patch: patch.name, line: file.line, file: file.path } },
        );
      }
      written.add(file.path);
      await writeNewFile(file, mirror);
    }
  }
}
