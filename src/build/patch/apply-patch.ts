/**
 * Applies patches to copies.
 *
 * The source tree belongs to the user and is only read: the files that a patch names are copied to a
 * directory of their own, in the tree's shape, and patched there. patch(1) does it, without fuzz: a
 * hunk whose context differs is a fix for another source. Lines may have moved; that is reported.
 *
 * A dry run goes first, so that a patch which names each file once applies whole or leaves the copies as they were.
 */
import { copyFile, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { FormatError } from '../../diagnostics/error.ts';
import { type RunResult, run } from '../../process/run.ts';
import type { Patch, PatchFile } from './model.ts';
import { renderPatch } from './render-patch.ts';

export interface AppliedPatches {
  /** Paths of the files now patched under the destination, in order of first mention, each once. */
  readonly paths: readonly string[];
  /** Hunks that were found at another line than the patch says. */
  readonly notes: readonly string[];
}

/**
 * Applies the `changed` files of all `patches`, one patch after the other, to copies in `destination`
 * (which should be empty). Files of other kinds are the caller's business.
 * Throws FormatError `patch_does_not_apply`, naming patch, file, hunk and line.
 */
export async function applyPatches(
  patches: readonly Patch[],
  source: string,
  destination: string,
): Promise<AppliedPatches> {
  const paths = new Set<string>();
  const notes: string[] = [];
  for (const patch of patches) {
    const files = patch.files.filter((file) => file.kind === 'changed');
    for (const file of files) {
      if (paths.has(file.path)) continue;
      await copySource(patch, file, source, destination);
      paths.add(file.path);
    }
    for (const group of inGroups(files)) {
      const input = renderPatch(group);
      const trial = await runPatch(input, destination, ['--dry-run']);
      if (trial.exitCode !== 0) throw failure(patch, group, trial.stdout + trial.stderr);
      const result = await runPatch(input, destination, []);
      if (result.exitCode !== 0) throw failure(patch, group, result.stdout + result.stderr);
      notes.push(...movedHunks(patch, result.stdout));
    }
  }
  return { paths: [...paths], notes };
}

/**
 * Runs of files in which each path stands once. A file may stand in a patch more than once: a mailbox of several mails
 * is one patch to us. In a dry run patch(1) would hold the second against what was there before the first.
 */
function inGroups(files: readonly PatchFile[]): readonly (readonly PatchFile[])[] {
  const groups: PatchFile[][] = [];
  let seen = new Set<string>();
  for (const file of files) {
    const group = groups.at(-1);
    if (group === undefined || seen.has(file.path)) {
      groups.push([file]);
      seen = new Set([file.path]);
    } else {
      group.push(file);
      seen.add(file.path);
    }
  }
  return groups;
}

async function copySource(patch: Patch, file: PatchFile, source: string, destination: string): Promise<void> {
  const from = path.join(source, file.path);
  const found = await stat(from).catch(() => undefined);
  if (found?.isFile() !== true) {
    throw new FormatError(
      'patch_does_not_apply',
      `${patch.name}:${file.line}: ${file.path} is not in the source tree`,
      {
        hint: `looked in ${source}, with the first directory of the patch's path stripped (-p1)`,
        details: { patch: patch.name, line: file.line, file: file.path },
      },
    );
  }
  const to = path.join(destination, file.path);
  await mkdir(path.dirname(to), { recursive: true });
  await copyFile(from, to);
}

function runPatch(input: Uint8Array, cwd: string, extra: readonly string[]): Promise<RunResult> {
  return run(
    [
      'patch',
      '-p1',
      '--unified',
      '--fuzz=0',
      '--forward',
      '--batch',
      '--no-backup-if-mismatch',
      '--reject-file=-',
      ...extra,
    ],
    { cwd, input, okExitCodes: [0, 1, 2] },
  );
}

/** `patching file "a b.c"`: patch quotes what a shell would not take as it is. */
const fileLine = /^(?:checking|patching) file (.+)$/;

function movedHunks(patch: Patch, output: string): readonly string[] {
  const notes: string[] = [];
  let current = '';
  for (const line of output.split('\n')) {
    current = unquote(fileLine.exec(line)?.[1]) ?? current;
    const moved = /^Hunk #(\d+) succeeded at (\d+) \(offset (-?\d+) lines?\)/.exec(line);
    if (moved !== null) {
      notes.push(
        `${patch.name}: ${current}: hunk ${moved[1]} applies at line ${moved[2]}, ${moved[3]} from where it says`,
      );
    }
  }
  return notes;
}

function failure(patch: Patch, files: readonly PatchFile[], output: string): FormatError {
  let current: string | undefined;
  for (const line of output.split('\n')) {
    current = unquote(fileLine.exec(line)?.[1]) ?? current;
    const file = files.find((one) => one.path === current);
    if (file === undefined) continue;
    const failed = /^Hunk #(\d+) FAILED at (\d+)/.exec(line);
    if (failed !== null) return hunkFailure(patch, file, Number(failed[1]), Number(failed[2]));
    if (line.startsWith('Reversed (or previously applied) patch detected')) {
      return new FormatError(
        'patch_does_not_apply',
        `${patch.name}: ${file.path}: hunk 1 does not apply at line ${file.hunks[0]?.oldStart ?? 0}`,
        {
          hint: 'this source seems to have the change already',
          details: { patch: patch.name, file: file.path, hunk: 1, already: true },
        },
      );
    }
  }
  const reason = output.trim().split('\n').at(-1) ?? '';
  return new FormatError('patch_does_not_apply', `${patch.name} does not apply: ${reason}`, {
    details: { patch: patch.name, output },
  });
}

function hunkFailure(patch: Patch, file: PatchFile, hunk: number, at: number): FormatError {
  const line = file.hunks[hunk - 1]?.line;
  return new FormatError(
    'patch_does_not_apply',
    `${patch.name}:${line ?? file.line}: ${file.path}: hunk ${hunk} does not apply at line ${at}`,
    {
      hint: 'the patch was made for another source: its context lines must be the same, byte for byte',
      details: { patch: patch.name, file: file.path, hunk, at, ...(line === undefined ? {} : { line }) },
    },
  );
}

function unquote(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  return name.startsWith("'") ? name.slice(1, -1) : name;
}
