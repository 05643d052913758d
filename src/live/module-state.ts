/**
 * What the kernel's files say of modules. Apart from what loads and unloads them: whoever only looks runs no program.
 */
import { existsSync, readFileSync } from 'node:fs';

/** What a file of the kernel's says, or `otherwise` where it cannot be read. */
export function readOr(file: string, otherwise: string): string {
  try {
    return readFileSync(file, 'latin1').trim();
  } catch {
    return otherwise;
  }
}

/** What a loaded module says of its source; undefined if it says nothing, or is not loaded. */
export function srcversionOf(name: string): string | undefined {
  const text = readOr(`/sys/module/${name}/srcversion`, '');
  return text === '' ? undefined : text;
}

export function isModuleLoaded(name: string): boolean {
  return existsSync(`/sys/module/${name}`);
}
