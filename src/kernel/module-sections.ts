/**
 * Where the sections of a loaded module lie: /sys/module/NAME/sections, a file each (kernel/module/sysfs.c). Those of
 * the init part stay listed when it is gone.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Address, toAddress } from './address.ts';

/** By name; empty for a module that is not loaded, and where addresses are hidden. `root`: of sysfs's modules. */
export function readModuleSections(module: string, root = '/sys/module'): ReadonlyMap<string, Address> {
  const directory = join(root, module, 'sections');
  const sections = new Map<string, Address>();
  for (const name of listed(directory)) {
    const [, digits] = /^0x([0-9a-f]{1,16})\n?$/.exec(contents(join(directory, name))) ?? [];
    if (digits === undefined || /^0+$/.test(digits)) continue;
    sections.set(name, toAddress(BigInt(`0x${digits}`)));
  }
  return sections;
}

function listed(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** The module may be unloaded meanwhile. */
function contents(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
