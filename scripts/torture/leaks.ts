import type { Vm } from '../../test/support/vm/vm.ts';

const FILE = '/sys/kernel/debug/kmemleak';
/** An object counts when no pointer to it was found twice, and it is older than five seconds. */
const SCAN = `sleep 6; echo scan >${FILE}; sleep 6; echo scan >${FILE}; cat ${FILE}`;

/** Objects that kmemleak has found, of which an allocation by us or by the loader of modules is in the stack. Nothing without kmemleak. */
export async function leaks(vm: Vm): Promise<readonly string[]> {
  const { exitCode } = await vm.run(`test -e ${FILE}`);
  if (exitCode !== 0) return [];
  const { stdout } = await vm.run(SCAN, { timeoutMs: 1_800_000 });
  return stdout
    .split(/^(?=unreferenced object)/m)
    .filter((object) => /\bksplice|\bload_module\b/.test(object))
    .map((object) => `leaked: ${object.trim().replaceAll(/\n\s+/g, '; ')}`);
}
