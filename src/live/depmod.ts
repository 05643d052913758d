import { readdirSync } from 'node:fs';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';
import { run } from '../process/run.ts';
import { systemTool } from './kernel-module.ts';
import type { ModuleTree } from './module-directory.ts';
import { syncToDisk } from './sync-to-disk.ts';

/**
 * Writes the indexes anew that modprobe looks modules up in, and has them on the disk. depmod itself renames each
 * into place whole. Throws MissingError with its words.
 */
export async function runDepmod(tree: ModuleTree): Promise<void> {
  const base = path.join(tree.root, '..', '..', '..');
  const { exitCode, stderr } = await run([systemTool('depmod'), '-b', base, tree.release], {
    okExitCodes: Array.from({ length: 256 }, (_, status) => status),
  });
  if (exitCode !== 0) {
    throw new MissingError(
      'command_failed',
      `depmod ${tree.release}: ${stderr.trim() || `exit status ${exitCode}`}`,
      {
        hint: 'the modules of this kernel cannot be indexed: what it says has to be put right first',
        details: { stderr },
      },
    );
  }
  for (const name of readdirSync(tree.root)) {
    if (/^modules\.(?:dep|alias|symbols|softdep|devname)/.test(name)) syncToDisk(path.join(tree.root, name));
  }
  syncToDisk(tree.root);
}
