/**
 * Units that a patch brings: a new `.c` file, and a line of a Makefile that lists its object.
 *
 * Only kbuild knows whether that line counts in this configuration, what the object is part of and how it is compiled, and it
 * has to read the patched Makefile for that. So it is sent through the original tree with `make -n`, as for all units of a
 * configuration (configuration-units.ts), but takes each directory's Makefile from the patched tree, and sources that the
 * original lacks too. Nothing is built or written.
 */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, MissingError } from '../diagnostics/error.ts';
import { withFileLock } from '../process/file-lock.ts';
import { listedObjects, otherRule } from './build-rules.ts';
import type { AffectedUnit } from './build-units.ts';
import { ASK_UNIT, MARK, parseDryRun } from './configuration-units.ts';
import { runKbuild } from './kbuild.ts';
import { objectOf } from './locate-units.ts';
import { writeNewFile } from './new-file.ts';
import type { Patch } from './patch/model.ts';
import type { Refusal, TouchedFiles } from './touched-files.ts';
import type { PreparedTree } from './tree.ts';

export interface NewSources {
  /** `.c` files that the patches bring and a Makefile lists; they are in the mirror now. */
  readonly sources: readonly string[];
  readonly refusals: readonly Refusal[];
}

/** Looks at the Makefiles that are patched, in `mirror`, and writes the files that they bring into it. */
export async function readNewSources(
  source: string,
  mirror: string,
  touched: TouchedFiles,
  patches: readonly Patch[],
): Promise<NewSources> {
  const refusals: Refusal[] = [];
  const sources = new Set<string>();
  for (const file of touched.makefiles) {
    const directory = path.dirname(file);
    const fresh = new Map(
      touched.added
        .filter((added) => added.endsWith('.c') && path.dirname(added) === directory)
        .map((added) => [path.basename(objectOf(added)), added]),
    );
    const [pre, post] = await Promise.all(
      [source, mirror].map(async (root) => await readFile(path.join(root, file), 'utf8')),
    );
    const objects = new Set(fresh.keys());
    const other = otherRule(pre ?? '', post ?? '', objects);
    if (other !== undefined) {
      refusals.push({
        file,
        message: `${file} changes build rules (${other}): supported are only objects of files that the patch brings`,
      });
    }
    for (const object of listedObjects(post ?? '', objects)) sources.add(fresh.get(object) ?? '');
  }
  for (const file of patches.flatMap((patch) => patch.files)) {
    if (file.kind !== 'new' || !sources.has(file.path)) continue;
    if ((await stat(path.join(source, file.path)).catch(() => undefined)) !== undefined) {
      const message = `${file.path} is a new file in the patch, and exists already`;
      throw new FormatError('patch_does_not_apply', message, { details: { file: file.path } });
    }
    await writeNewFile(file, mirror);
  }
  return { sources: [...sources], refusals };
}

export interface NewUnits {
  readonly units: readonly AffectedUnit[];
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
}

/**
 * Asks kbuild about new sources; `mirror` is complete.
 * Throws MissingError if kbuild does not get so far, or does not read the patched Makefiles.
 */
export async function askAboutNewUnits(
  tree: PreparedTree,
  mirror: string,
  sources: readonly string[],
  options: { readonly onProgress?: (message: string) => void; readonly signal?: AbortSignal },
): Promise<NewUnits> {
  if (sources.length === 0) return { units: [], refusals: [], notes: [] };
  options.onProgress?.(`asking kbuild about ${sources.join(', ')}, which the patch brings`);
  // Recipes are expanded when all Makefiles were read, so the list has the patched one.
  const isPatched = `$(if $(filter ${mirror}/%,$(MAKEFILE_LIST)),KSPLICE-PATCHED) ${ASK_UNIT}`;
  const { stdout, stderr } = await withFileLock(
    tree.lockFile,
    async () =>
      await runKbuild(
        tree,
        [
          '-n',
          `quiet_cmd_cc_o_c=${isPatched} END`,
          'V=0',
          `KCFLAGS=${MARK}`,
          `kbuild-dir=$(if $(filter /%,$(src)),$(src),${mirror}/$(src))`,
          `VPATH=${tree.source}:${mirror}`,
          ...sources.map(objectOf),
        ],
        {
          jobs: 1,
          okExitCodes: [0, 1, 2],
          ...(options.signal === undefined ? {} : { signal: options.signal }),
        },
      ),
    {
      wait: true,
      busyCode: 'apply_in_progress',
      onWait: () => options.onProgress?.('waiting for another ksplice that builds in the same tree'),
      signal: options.signal,
    },
  );
  const { units: all } = parseDryRun(stdout, tree.source);
  const units: AffectedUnit[] = [];
  const refusals: Refusal[] = [];
  const notes: string[] = [];
  for (const source of sources) {
    const found = all.find(({ command }) => command.object === objectOf(source));
    const isAnswered = new RegExp(`KSPLICE-PATCHED KSPLICE-UNIT ${objectOf(source)} `).test(stdout);
    if (found === undefined || !isAnswered) {
      throw new MissingError('command_failed', `${source}: kbuild does not tell how it is compiled`, {
        hint: 'does its Makefile list it in a way that this kernel knows?',
        details: { source, stderr: stderr.split('\n').slice(-20) },
      });
    }
    const { module } = found.command;
    const compiler = found.command.compiler.map((word) => word.replaceAll(`${mirror}/`, `${tree.source}/`));
    if (!found.isListed) notes.push(`${source}: ignored: not in this configuration`);
    else if (module === path.basename(source, '.c').replace(/[-,]/g, '_') || module?.includes(':') === true) {
      refusals.push({
        file: source,
        message: `${source} is a new module (${module}): an update changes modules that there are`,
      });
    } else {
      units.push({ source, command: { ...found.command, compiler }, patched: [source], isNew: true });
    }
  }
  return { units, refusals, notes };
}
