/**
 * Where the sections of a loaded module lie: /sys/module/NAME/sections, a file each (kernel/module/sysfs.c). Those of
 * the init part stay listed when it is gone.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { type Address, toAddress } from './address.ts';

/** `0x`, 16 digits, a line feed. */
const LONGEST_LINE = 32;

/** By name; empty for a module that is not loaded, and where addresses are hidden. `root`: of sysfs's modules. */
export function readModuleSections(module: string, root = '/sys/module'): ReadonlyMap<string, Address> {
  const directory = join(root, module, 'sections');
  const sections = new Map<string, Address>();
  // One read a file: there are some dozens of one line, and readFileSync() asks each for its size first.
  const buffer = Buffer.alloc(LONGEST_LINE);
  for (const name of listed(directory)) {
    const [, digits] = /^0x([0-9a-f]{1,16})\n?$/.exec(contents(join(directory, name), buffer)) ?? [];
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
function contents(path: string, buffer: Buffer): string {
  try {
    const fd = openSync(path, 'r');
    try {
      return buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, null));
    } finally {
      closeSync(fd);
    }
  } catch {
    return '';
  }
}
