/**
 * Is a function replaced by the kernel's own livepatch?
 *
 * A livepatch redirects at the function's ftrace entry, before our jump: what we write would have no
 * effect, and nobody would notice. So we refuse and name it. sysfs has a directory
 * /sys/kernel/livepatch/PATCH/TARGET/FUNCTION,POSITION for each function that a livepatch replaces.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { RefusedError } from '../diagnostics/error.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import type { TextPatch } from '../match/text-patch.ts';
import type { Update } from '../update/update.ts';
import { updateModule } from '../update/update-id.ts';

const LIVEPATCH_ROOT = '/sys/kernel/livepatch';
/** The call of ftrace. */
const ENTRY_SIZE = 5;
/** What the modules of our own updates are called by. */
const PREFIX = updateModule('');

/** Name of the livepatch, if there is one. `target`: `vmlinux`, or the function's module. */
export function livepatchOwner(name: string, target: string, root = LIVEPATCH_ROOT): string | undefined {
  return listed(root).find((patch) =>
    listed(path.join(root, patch, target)).some((entry) => entry.replace(/,\d+$/, '') === name),
  );
}

function listed(directory: string): readonly string[] {
  return existsSync(directory) && statSync(directory).isDirectory() ? readdirSync(directory) : [];
}

/** Names of the livepatches that are loaded. */
export function listLivepatches(root = LIVEPATCH_ROOT): readonly string[] {
  return listed(root);
}

/** The entries of all functions that livepatches replace. */
export function livepatchedEntries(kernel: Kernel, root = LIVEPATCH_ROOT): readonly TextPatch[] {
  return listed(root).flatMap((patch) =>
    listed(path.join(root, patch)).flatMap((target) =>
      listed(path.join(root, patch, target)).flatMap((entry): TextPatch[] => {
        // The position counts the symbols of this name in its target, from 1.
        const [, name = '', position = '1'] = /^(.+),(\d+)$/.exec(entry) ?? [];
        const symbol = kernel.named(name, target === VMLINUX ? undefined : target)[Number(position) - 1];
        if (symbol === undefined) return [];
        const owner = `the livepatch ${patch}`;
        return [{ at: symbol.address, size: ENTRY_SIZE, kind: 'livepatch', owner, isLegal: () => false }];
      }),
    ),
  );
}

/** Throws RefusedError if a livepatch has replaced a function that the update replaces. */
export function refuseLivepatched(update: Update): void {
  const replaced = update.units.flatMap(({ target, functions }) =>
    functions.map(({ preName }) => ({ target, name: preName })),
  );
  for (const { target, name } of replaced) {
    const owner = livepatchOwner(name, target);
    if (owner === undefined) continue;
    throw new RefusedError('refused', `${update.id}: ${name} is replaced by the livepatch ${owner}`, {
      hint: owner.startsWith(PREFIX)
        ? `undo that update first (ksplice undo ${owner.slice(PREFIX.length)})`
        : `disable it first: echo 0 > /sys/kernel/livepatch/${owner}/enabled`,
    });
  }
}
