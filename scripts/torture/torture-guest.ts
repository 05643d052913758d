/** One guest that is tortured: booted with the load and the program of the cycles, judged at the end. */
import * as v from 'valibot';
import { judgeLog } from '../../test/support/case/kernel-log.ts';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';
import { Vm } from '../../test/support/vm/vm.ts';
import { type TortureOrder, tortureRunSchema } from './cycle-outcome.ts';
import { guestBundle, HOME, PATIENT_LOG } from './guest-bundle.ts';
import { leaks } from './leaks.ts';
import { Load, type LoadOptions, NO_LOAD } from './load.ts';
import { loadFiles } from './load-files.ts';
import { memoryFields, SHOW_ADDRESSES } from './memory-use.ts';
import { judge, type TortureVerdict } from './report.ts';

export interface TortureGuestOptions {
  /** The kernel, a bzImage, and an update for it whose ID is `torture`. */
  readonly image: string;
  readonly update: string;
  readonly cacheDir: string;
  readonly cpus: number;
  readonly order: Omit<TortureOrder, 'update'>;
  /** Nothing but the cycles runs if there is none. */
  readonly load?: LoadOptions;
  /** KASAN keeps freed objects, up to a 32nd of memory (mm/kasan/quarantine.c): slab in use says nothing, and kmemleak is asked. */
  readonly keepsFreed?: boolean;
  readonly onProgress?: (line: string) => void;
  /** Gets everything that the console prints. */
  readonly transcript?: string;
}

const UPDATE = `${HOME}/torture.ksplice`;
const RESULT = '/run/torture.json';
/** 10,000 threads have 300 MB of kernel memory; on the debugging kernel much more. */
const MEMORY_MB = 4096;
const BOOT_TIMEOUT_MS = 1_800_000;
/** Throws LostVmError when the guest dies, and an error with what the program had to say if it failed by itself. */
export async function tortureGuest(options: TortureGuestOptions): Promise<TortureVerdict> {
  const { image, update, cacheDir, cpus, load, onProgress = () => undefined } = options;
  const order: TortureOrder = { ...options.order, update: UPDATE };
  const files: readonly GuestFile[] = [
    ...(await guestBundle('guest-main')),
    ...(await loadFiles(cacheDir)),
    { path: UPDATE, from: update },
    { path: `${HOME}/order.json`, contents: JSON.stringify(order) },
  ];
  await using vm = await Vm.boot({
    image,
    cacheDir,
    files,
    cpus,
    append: PATIENT_LOG,
    memoryMb: MEMORY_MB,
    bootTimeoutMs: BOOT_TIMEOUT_MS,
    ...(options.transcript === undefined ? {} : { transcript: options.transcript }),
  });
  onProgress(`${cpus} CPUs, up`);
  await vm.run(SHOW_ADDRESSES);
  const running = load === undefined ? undefined : await Load.start(vm, load);
  if (running !== undefined) onProgress('the load is there');
  const { exitCode, stderr } = await vm.run(`node ${HOME}/guest-main.cjs ${HOME}/order.json ${RESULT}`, {
    timeoutMs: (order.minutes + 30) * 60_000,
    onOutput: (bytes, stream) => {
      if (stream === 'stdout') onProgress(Buffer.from(bytes).toString('utf8').trimEnd());
    },
  });
  if (exitCode !== 0) throw new Error(`guest: the cycles failed, exit status ${exitCode}: ${stderr}`);
  const run = v.parse(tortureRunSchema, JSON.parse((await vm.get(RESULT)).toString('utf8')));
  const lost = (await running?.stop()) ?? NO_LOAD;
  const { trouble } = judgeLog(await vm.kernelLog(), []);
  // Without a load there is no noise: the first cycles fill caches of the kernel, which a person can tell from a leak.
  const judged = memoryFields.filter(
    (field) => load !== undefined && (field !== 'SUnreclaim' || options.keepsFreed !== true),
  );
  return judge(run, lost, [...trouble, ...(await leaks(vm))], { cycles: order.cycles, judged });
}
