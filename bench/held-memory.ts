/** The kernel memory that an applied update holds, its core included: what an apply takes, and the undo gives back. */
import { moduleAreas, parseMeminfo, SHOW_ADDRESSES } from '../scripts/torture/memory-use.ts';
import { Vm } from '../test/support/vm/vm.ts';
import type { CountedUpdate } from './counted-updates.ts';
import { spreadOf } from './statistics.ts';
import { bootOptions, must, type StopBenchOptions } from './stop-table.ts';

/** Slab goes up and down by what else the guest does; the areas are the same each time. */
const ROUNDS = 5;

interface Held {
  /** kB of the areas of modules and of the core, each with its guard page: exact. */
  readonly areas: number;
  readonly slab: number;
  readonly perCpu: number;
}

async function inUse(vm: Vm): Promise<Held> {
  // Until what the last process has freed is free.
  await must(vm, 'sleep 2');
  const { SUnreclaim, Percpu } = parseMeminfo(await must(vm, 'cat /proc/meminfo'));
  const areas = moduleAreas(await must(vm, 'cat /proc/vmallocinfo'));
  return { areas: areas.reduce((sum, size) => sum + size, 0) / 1024, slab: SUnreclaim, perCpu: Percpu };
}

async function heldBy(vm: Vm, update: CountedUpdate): Promise<readonly Held[]> {
  const all: Held[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await must(vm, `ksplice apply /root/${update.id}.ksplice`);
    const applied = await inUse(vm);
    await must(vm, `ksplice undo ${update.id}`);
    const undone = await inUse(vm);
    if (applied.areas <= undone.areas)
      throw new Error(`${update.id}: the areas of its module cannot be seen`);
    all.push({
      areas: applied.areas - undone.areas,
      slab: applied.slab - undone.slab,
      perCpu: applied.perCpu - undone.perCpu,
    });
  }
  return all;
}

export async function benchHeldMemory(options: StopBenchOptions): Promise<void> {
  const { updates, print } = options;
  await using vm = await Vm.boot(await bootOptions(options));
  await must(vm, SHOW_ADDRESSES);
  print(
    `memory that an applied update holds, its core included, kB: median (min to max) of ${ROUNDS} rounds`,
  );
  for (const update of updates) {
    const held = await heldBy(vm, update);
    const text = (['areas', 'slab', 'perCpu'] as const).map((field) => {
      const { min, median, max } = spreadOf(held.map((one) => one[field]));
      return `${median} (${min} to ${max})`;
    });
    print(
      `  ${update.functions} functions: modules ${text[0]}, slab ${text[1]}, per-CPU ${text[2]}; file ${(update.fileBytes / 1024).toFixed(0)}`,
    );
  }
}
