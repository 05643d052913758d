/** The kernel memory that an applied update holds, its core included: what there is more after an apply. */
import { moduleAreas, parseMeminfo, SHOW_ADDRESSES } from '../scripts/torture/memory-use.ts';
import { Vm, type VmOptions } from '../test/support/vm/vm.ts';
import type { CountedUpdate } from './counted-updates.ts';
import { spreadOf } from './statistics.ts';
import { bootOptions, must, type StopBenchOptions } from './stop-table.ts';

/** Slab goes up and down by what else the guest does; the areas are the same each time. */
const BOOTS = 3;

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

/** In a boot of its own: one that stays loaded after an undo would be counted with the next. */
async function heldBy(update: CountedUpdate, options: VmOptions): Promise<Held> {
  await using vm = await Vm.boot(options);
  await must(vm, SHOW_ADDRESSES);
  // What the program itself leaves in caches of the kernel is there before.
  await must(vm, `ksplice check /root/${update.id}.ksplice`);
  const before = await inUse(vm);
  await must(vm, `ksplice apply /root/${update.id}.ksplice`);
  const applied = await inUse(vm);
  if (applied.areas <= before.areas) throw new Error(`${update.id}: the areas of its module cannot be seen`);
  return {
    areas: applied.areas - before.areas,
    slab: applied.slab - before.slab,
    perCpu: applied.perCpu - before.perCpu,
  };
}

export async function benchHeldMemory(options: StopBenchOptions): Promise<void> {
  const { updates, print } = options;
  const boot = await bootOptions(options);
  print(`memory that an applied update holds, its core included, kB: median (min to max) of ${BOOTS} boots`);
  for (const update of updates) {
    const held: Held[] = [];
    for (let i = 0; i < BOOTS; i += 1) held.push(await heldBy(update, boot));
    const text = (['areas', 'slab', 'perCpu'] as const).map((field) => {
      const { min, median, max } = spreadOf(held.map((one) => one[field]));
      return `${median} (${min} to ${max})`;
    });
    print(
      `  ${update.functions} functions: modules ${text[0]}, slab ${text[1]}, per-CPU ${text[2]}; file ${(update.fileBytes / 1024).toFixed(0)}`,
    );
  }
}
