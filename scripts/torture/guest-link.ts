/**
 * The program that links in the guest and keeps what apply removes: `node link.cjs core|update UPDATE OUTPUT`. The core is bound for
 * the kernel that runs; an update for the core that is loaded.
 */
import { writeFileSync } from 'node:fs';
import { bindCore } from '../../src/link/link-core.ts';
import { linkMatched } from '../../src/link/link-matched.ts';
import { ensureCore } from '../../src/live/core-module.ts';
import { matchUpdate } from '../../src/live/match-update.ts';
import { PreparedUpdates } from '../../src/live/prepare-updates.ts';
import { readUpdateFile } from '../../src/update/read-update.ts';

async function link(what: string, file: string): Promise<Uint8Array> {
  using updates = new PreparedUpdates([readUpdateFile(file)]);
  const [prepared] = updates.list;
  if (prepared === undefined) throw new Error('no update');
  const { update, objects } = prepared;
  if (what === 'core') return bindCore(update.core, updates.kernel).bytes;
  const core = await ensureCore(update, updates.kernel);
  const context = {
    signal: new AbortController().signal,
    debug: false,
    onDebug: () => undefined,
    partial: false,
    engine: 'jump' as const,
    waitMs: 0,
    onStep: () => undefined,
  };
  const matches = await matchUpdate(objects, updates.kernel, context);
  return linkMatched(update, objects, matches, updates.kernel, (name) => core.get(name)).bytes;
}

async function main([what = '', file = '', output = '']: readonly string[]): Promise<void> {
  writeFileSync(output, await link(what, file), { mode: 0o600 });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 70;
});
