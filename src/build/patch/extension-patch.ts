/**
 * A patch out of files that lie beside the originals: `fs/pipe.c` as it is, `fs/pipe.c.new` as it shall be.
 *
 * The quickest way to a patch for who edits by hand: copy a file, change the copy, and nothing of the tree that the
 * kernel was built from is touched. The extension is what follows the whole name of the original; a dot is put before
 * one that starts with a letter or a digit, so `new` and `.new` are the same.
 *
 * A copy without an original is refused: it may be a new file, or what is left of one that moved.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { MissingError, NoChangeError, UsageError } from '../../diagnostics/error.ts';
import { CommandError } from '../../process/command-error.ts';
import { run } from '../../process/run.ts';
import { type PatchText, runForBytes } from './patch-text.ts';

/** `.new` for `new`. Throws UsageError for what can be no extension. */
export function normalizeExtension(extension: string): string {
  const normal = /^[A-Za-z0-9]/.test(extension) ? `.${extension}` : extension;
  if (!/^[._~+-](?:[A-Za-z0-9._~+-]*[A-Za-z0-9_~+-])?$/.test(normal) || /^\.+$/.test(normal)) {
    throw new UsageError(
      'usage',
      `--diffext ${JSON.stringify(extension)}: not the extension of a file name`,
      {
        hint: 'such as .new, where fs/pipe.c.new is what fs/pipe.c shall be',
      },
    );
  }
  if (/^\.(?:[chSs]|lds|rst|txt|o|cmd|d)$/.test(normal)) {
    throw new UsageError('usage', `--diffext ${extension}: the tree's own files are called so`, {
      hint: 'give the changed copies an extension that nothing else has, such as .new',
    });
  }
  return normal;
}

/**
 * The patch from every FILE to FILE.EXT below `directory`, files in the order of their names.
 * Throws UsageError if there are none, or one has no original, NoChangeError if all are equal to theirs.
 */
export async function extensionPatch(
  directory: string,
  extension: string,
  signal?: AbortSignal,
): Promise<PatchText> {
  const ending = normalizeExtension(extension);
  const options = signal === undefined ? {} : { signal };
  const files = await findOriginals(directory, ending, options);
  const parts: Uint8Array[] = [];
  for (const file of files) {
    const { exitCode, stdout, stderr } = await runForBytes(
      [
        'diff',
        '--unified',
        '--show-c-function',
        '--label',
        `a/${file}`,
        '--label',
        `b/${file}`,
        '--',
        file,
        `${file}${ending}`,
      ],
      { cwd: directory, okExitCodes: [0, 1, 2], ...options },
    );
    // Binary files that differ count as trouble too, but without a message.
    if (exitCode === 2 && stderr !== '') {
      throw new MissingError(
        'command_failed',
        `cannot compare ${file} with ${file}${ending}: ${stderr.trim()}`,
      );
    }
    parts.push(stdout);
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length === 0) {
    throw new NoChangeError(
      'no_change',
      `${files.join(', ')}: the same with and without ${ending}, nothing to change`,
    );
  }
  return { name: `diffext${ending}.patch`, bytes };
}

/** The files that have a copy with the ending beside them, sorted. */
async function findOriginals(
  directory: string,
  ending: string,
  options: { readonly signal?: AbortSignal },
): Promise<readonly string[]> {
  const outside = ['(', '-name', '.git', '-o', '-name', '.pc', ')', '-prune', '-o'];
  const wanted = ['-type', 'f', '-name', `?*${ending}`, '-printf', '%P\\0'];
  let stdout: string;
  try {
    ({ stdout } = await run(['find', '.', ...outside, ...wanted], { cwd: directory, ...options }));
  } catch (cause) {
    if (!(cause instanceof CommandError) || cause.code !== 'command_failed') throw cause;
    throw new UsageError('usage', `cannot search ${directory} for files in ${ending}: ${cause.message}`, {
      cause,
    });
  }
  const copies = stdout.split('\0').filter((name) => name !== '');
  if (copies.length === 0) {
    throw new UsageError('usage', `--diffext ${ending}: no file in ${directory} is called so`, {
      hint: `copy the file to change, and edit the copy: cp fs/pipe.c fs/pipe.c${ending}`,
    });
  }
  const originals = copies.map((name) => name.slice(0, -ending.length)).sort();
  const alone: string[] = [];
  for (const file of originals) {
    const found = await stat(path.join(directory, file)).catch(() => undefined);
    if (found?.isFile() !== true) alone.push(file);
  }
  if (alone.length > 0) {
    throw new UsageError(
      'usage',
      `${alone.map((file) => `${file}${ending}`).join(', ')}: no ${alone.join(', ')} to compare with`,
      { hint: 'a new file comes in by --patch; otherwise remove what is left over' },
    );
  }
  return originals;
}
