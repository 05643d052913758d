/**
 * Where the patch of an update comes from: files, commits of git, or changed copies beside the originals. Exactly one
 * of them; and the last two need the user's own source tree, since the one in the cache has neither.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { extensionPatch } from '../build/patch/extension-patch.ts';
import { gitPatches } from '../build/patch/git-patches.ts';
import type { PatchText } from '../build/patch/patch-text.ts';
import { FormatError, UsageError } from '../diagnostics/error.ts';

export interface PatchChoice {
  /** Paths of patch files, applied in this order. */
  readonly patch?: readonly string[] | undefined;
  /** A commit, or a range A..B, of the work tree `source`. */
  readonly git?: string | undefined;
  /** `.new`, where `fs/pipe.c.new` in the tree `source` is what `fs/pipe.c` shall be. */
  readonly diffext?: string | undefined;
  readonly prebuild?: boolean | undefined;
  readonly source?: string | undefined;
}

const ACTIONS = '--patch FILE, --git COMMIT, --diffext EXT or --prebuild';

/** Which flags go together. Throws UsageError. */
export function checkPatchChoice(choice: PatchChoice): void {
  const given = [
    ...(choice.patch === undefined || choice.patch.length === 0 ? [] : ['--patch']),
    ...(choice.git === undefined ? [] : ['--git']),
    ...(choice.diffext === undefined ? [] : ['--diffext']),
    ...(choice.prebuild === true ? ['--prebuild'] : []),
  ];
  const [action, other] = given;
  if (action === undefined) {
    throw new UsageError('usage', `a patch is missing: ${ACTIONS}`, { hint: 'see ksplice create --help' });
  }
  if (other !== undefined) {
    throw new UsageError('usage', `${given.join(' and ')}: only one of them says what to do`, {
      hint: 'to join several patches, give each with --patch, in their order',
    });
  }
  if ((action === '--git' || action === '--diffext') && choice.source === undefined) {
    throw new UsageError('usage', `${action} needs --source`, {
      hint:
        action === '--git'
          ? 'the work tree of git that has the commit, and stands at the source of the kernel'
          : 'the source tree in which the changed copies lie',
    });
  }
}

/** Gets the patches. Throws UsageError for what cannot be read, and what `gitPatches` and `extensionPatch` throw. */
export async function findPatches(choice: PatchChoice, signal: AbortSignal): Promise<readonly PatchText[]> {
  checkPatchChoice(choice);
  if (choice.git !== undefined && choice.source !== undefined) {
    return await gitPatches(choice.source, choice.git, signal);
  }
  if (choice.diffext !== undefined && choice.source !== undefined) {
    return [await extensionPatch(choice.source, choice.diffext, signal)];
  }
  return await Promise.all((choice.patch ?? []).map(readPatchBytes));
}

async function readPatchBytes(file: string): Promise<PatchText> {
  try {
    return { name: path.basename(file), bytes: await readFile(file) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('usage', `cannot read the patch ${file}: ${reason}`, { cause });
  }
}

/**
 * The error of a commit that does not apply because the work tree stands behind it, which is where most people stand
 * after they have made a commit: with advice. Any other error comes back as it is.
 */
export function explainGitFailure(error: unknown, choice: PatchChoice): unknown {
  if (
    choice.git === undefined ||
    !(error instanceof FormatError) ||
    error.code !== 'patch_does_not_apply' ||
    error.details?.['already'] !== true
  ) {
    return error;
  }
  const before = choice.git.includes('..') ? choice.git.split('..')[0] : `${choice.git}^`;
  return new FormatError(error.code, error.message, {
    hint: `the work tree has this change already; --source must be the source that the kernel was built from: git worktree add ../before ${before}, then --source ../before`,
    details: error.details,
    cause: error,
  });
}
