/**
 * Is a function replaced by the kernel's own livepatch?
 *
 * A livepatch redirects at the function's ftrace entry, before our jump: what we write would have no
 * effect, and nobody would notice. So we refuse and name it. sysfs has a directory
 * /sys/kernel/livepatch/PATCH/TARGET/FUNCTION,POSITION for each function that a livepatch replaces.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const LIVEPATCH_ROOT = '/sys/kernel/livepatch';

/** Name of the livepatch, if there is one. `target`: `vmlinux`, or the function's module. */
export function livepatchOwner(name: string, target: string, root = LIVEPATCH_ROOT): string | undefined {
  if (!existsSync(root)) return undefined;
  return readdirSync(root).find((patch) => {
    const objects = path.join(root, patch, target);
    return existsSync(objects) && readdirSync(objects).some((entry) => entry.replace(/,\d+$/, '') === name);
  });
}
