/** What tests of several updates in one guest ask about it. */
import { expect } from 'vitest';
import { judgeLog } from '../case/kernel-log.ts';
import type { Vm } from '../vm/vm.ts';

/** Identifiers of the updates that are applied, sorted. */
export async function appliedUpdates(vm: Vm): Promise<readonly string[]> {
  const { stdout } = await vm.run('cd /sys/kernel/ksplice 2>/dev/null && grep -l applied */stage');
  return stdout
    .split('\n')
    .filter((path) => path !== '')
    .map((path) => path.replace('/stage', ''))
    .toSorted();
}

/** The core, and modules of updates. */
export async function loadedModules(vm: Vm): Promise<readonly string[]> {
  const { stdout } = await vm.run("cut -d' ' -f1 /proc/modules | grep ksplice");
  return stdout.split('\n').filter((name) => name !== '');
}

/** That a run, whose output under --json this is, has switched `updates` updates, in one stop of all CPUs. */
export function expectOneStop(json: unknown, updates: number): void {
  const numbers = [...JSON.stringify(json).matchAll(/"switchNumber":(\d+)/g)].map(([, number]) =>
    Number(number),
  );
  expect(numbers).toHaveLength(updates);
  expect(numbers[0]).toBeGreaterThan(0);
  expect(new Set(numbers).size).toBe(1);
}

/** The kernel log since it was last taken, which is then empty; nothing in it may tell of trouble. */
export async function takeLog(vm: Vm): Promise<string> {
  const { exitCode, stdout } = await vm.run('dmesg -c');
  expect(exitCode).toBe(0);
  expect(judgeLog(stdout, []).trouble).toEqual([]);
  return stdout;
}
