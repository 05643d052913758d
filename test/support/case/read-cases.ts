import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CaseError, parseCase } from './parse-case.ts';
import type { TestCase } from './test-case.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CASES = join(ROOT, 'test', 'cases');

/** The patch file of a case on this machine. */
export function patchFile(name: string, path: string): string {
  return join(CASES, name, path);
}

function readCase(name: string): TestCase {
  const path = join(CASES, name, 'case');
  const file = relative(ROOT, path);
  if (!existsSync(path)) throw new CaseError(file, 1, 'no such file; every folder of test/cases is a case');
  const parsed = parseCase(readFileSync(path, 'utf8'), file, name);
  if (parsed.patch.kind === 'file' && !existsSync(patchFile(name, parsed.patch.path))) {
    throw new CaseError(file, 1, `PATCH ${parsed.patch.path}: no such file`);
  }
  return parsed;
}

/** Every folder of test/cases, in the order of their names. Throws CaseError. */
export function readCases(): readonly TestCase[] {
  return readdirSync(CASES, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted()
    .map(readCase);
}
