/**
 * A call of a replaced function beside a call of the same function replaced by the kernel's own livepatch: instructions more
 * than a call of the original, in one guest whose clock counts instructions.
 */
import { cachedUpdate } from '../scripts/cached-update.ts';
import type { PreparedTree } from '../src/build/tree.ts';
import type { DebianKernel } from '../src/debian/debian-sources.ts';
import { Vm } from '../test/support/vm/vm.ts';
import { buildBenchModules } from './bench-module.ts';
import { spreadOf } from './statistics.ts';

const ID = 'call_cost';
/** Calls for each reading: call_cost.c. */
const CALLS = 10_000;
const READINGS = 5;
/** Of livepatch's extra instructions, for ours. */
const LIMIT = 0.1;
const PATIENCE_MS = 1_800_000;

/** call_livepatch.c has the same body and the same instruction more. */
const PATCH = `--- a/kernel/pid.c
+++ b/kernel/pid.c
@@ -494,6 +494,7 @@
 {
 	pid_t nr = 0;
 
+	asm volatile ("nop");
 	rcu_read_lock();
 	if (!ns)
 		ns = task_active_pid_ns(current);
`;

export interface CallCostOptions {
  readonly kernel: DebianKernel;
  readonly tree: PreparedTree;
  readonly cacheDir: string;
  readonly bundle: string;
  readonly print: (line: string) => void;
}

async function must(vm: Vm, command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await vm.run(command, { timeoutMs: PATIENCE_MS });
  if (exitCode !== 0) throw new Error(`${command}: exit status ${exitCode}\n${stdout}${stderr}`);
  return stdout;
}

/** Instructions of one call, the loop around it included. */
async function costOfCall(vm: Vm): Promise<number> {
  const readings: number[] = [];
  for (let i = 0; i < READINGS; i += 1) {
    readings.push(Number(await must(vm, 'cat /sys/kernel/debug/call_cost')) / CALLS);
  }
  return spreadOf(readings).median;
}

export async function benchCallCost(options: CallCostOptions): Promise<void> {
  const { kernel, tree, cacheDir, bundle, print } = options;
  const flags = ['--kernel', kernel.release];
  const made = await cachedUpdate({ id: ID, patch: PATCH, kernel: flags, cacheDir });
  if ('refusal' in made) throw new Error(`${ID}: refused: ${made.refusal}`);
  const names = ['call_cost', 'call_livepatch'];
  const modules = await buildBenchModules(tree, kernel.headers, ID, names);
  await using vm = await Vm.boot({
    image: kernel.image,
    cacheDir,
    bundle,
    cpus: 1,
    countInstructions: true,
    bootTimeoutMs: PATIENCE_MS,
    files: [
      { path: `/root/${ID}.ksplice`, from: made.file },
      ...modules.map((contents, i) => ({ path: `/root/${names[i] ?? ''}.ko`, contents })),
    ],
  });
  await must(vm, 'insmod /root/call_cost.ko');
  const original = await costOfCall(vm);
  await must(vm, `ksplice apply /root/${ID}.ksplice`);
  const ours = await costOfCall(vm);
  await must(vm, `ksplice undo ${ID}`);
  const transition = '/sys/kernel/livepatch/call_livepatch/transition';
  await must(
    vm,
    `insmod /root/call_livepatch.ko; until [ "$(cat ${transition})" = 0 ]; do usleep 100000; done`,
  );
  const livepatch = await costOfCall(vm);
  const [more, theirs] = [ours - original, livepatch - original];
  const share = more / theirs;
  print(
    'a call of a replaced function, in instructions of the guest, an instruction of the new body included',
  );
  print(
    `original ${original.toFixed(2)}, by our jump ${more.toFixed(2)} more, by livepatch ${theirs.toFixed(2)} more`,
  );
  print(`ours / livepatch: ${share.toFixed(3)} (limit ${LIMIT}: ${share <= LIMIT ? 'kept' : 'NOT KEPT'})`);
}
