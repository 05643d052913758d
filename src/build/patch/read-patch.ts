import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../../diagnostics/error.ts';
import type { Patch } from './model.ts';
import { parsePatch } from './parse-patch.ts';

/** Reads a patch file; its base name is the patch's name. Throws UsageError if it cannot be read. */
export async function readPatch(file: string): Promise<Patch> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('usage', `cannot read the patch ${file}: ${reason}`, { cause });
  }
  return parsePatch(bytes, path.basename(file));
}
