/**
 * Every allocation on the way of every step fails once: in a guest with the debugging kernel, by fail_nth (test/guest/fail_nth.c).
 * A step that is refused has to leave the kernel as it was, one that is done in spite of it has to be done.
 */
import { judgeLog } from '../../test/support/case/kernel-log.ts';
import { compileGuest } from '../../test/support/vm/guest-program.ts';
import { Vm } from '../../test/support/vm/vm.ts';
import { LOADER_WITHOUT_MEMORY, withoutAllocationReports } from './allocation-reports.ts';
import { guestBundle, HOME, PATIENT_LOG } from './guest-bundle.ts';
import { leaks } from './leaks.ts';
import type { TortureVerdict } from './report.ts';

export interface FaultOptions {
  readonly image: string;
  readonly update: string;
  readonly cacheDir: string;
  readonly onProgress?: (line: string) => void;
  readonly transcript?: string;
}

const UPDATE = `${HOME}/torture.ksplice`;
const CORE = '/run/core.ko';
const MODULE = '/run/update.ko';
const SYSFS = '/sys/kernel/ksplice';
const STAGE = `${SYSFS}/torture/stage`;
const PATIENCE_MS = 3_600_000;

/** Without these only allocations that may not sleep would fail, and none of single pages; the log gets no stacks. */
const SETTINGS = `for f in failslab fail_page_alloc; do
  d=/sys/kernel/debug/$f
  echo N >$d/ignore-gfp-wait && echo 0 >$d/verbose || exit 1
done
echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem
echo 0 >/sys/kernel/debug/fail_page_alloc/min-order`;

/** What is done, what undoes it, what must be true before; each ends done, and is where the next begins. */
const steps: readonly (readonly [
  name: string,
  prepare: string,
  action: string,
  inverse: string,
  check: string,
])[] = [
  ['loading the core', '', `insmod:${CORE}`, 'rmmod:ksplice', `absent:${SYSFS}`],
  [
    'create',
    '',
    `write:${SYSFS}/control:create torture`,
    `write:${SYSFS}/control:forget torture`,
    `absent:${SYSFS}/torture`,
  ],
  [
    'loading the update',
    `node ${HOME}/guest-link.cjs update ${UPDATE} ${MODULE}`,
    `insmod:${MODULE}`,
    'rmmod:ksplice_torture',
    'absent:/sys/module/ksplice_torture',
  ],
  [
    'apply',
    // So that the stage is the same after an undo as it was before.
    `echo applied >${STAGE} && echo reversed >${STAGE}`,
    `write:${STAGE}:applied`,
    `write:${STAGE}:reversed`,
    `is:${STAGE}:reversed`,
  ],
  ['undo', '', `write:${STAGE}:reversed`, `write:${STAGE}:applied`, `is:${STAGE}:applied`],
  [
    'forget',
    'rmmod ksplice_torture',
    `write:${SYSFS}/control:forget torture`,
    `write:${SYSFS}/control:create torture`,
    // There is the entry, whatever its stage.
    `is:${SYSFS}/torture/debug:0`,
  ],
];

/** Throws LostVmError when the guest dies. */
export async function injectFaults(options: FaultOptions): Promise<TortureVerdict> {
  const { image, update, cacheDir, onProgress = () => undefined } = options;
  const lines: string[] = [];
  const problems: string[] = [];
  await using vm = await Vm.boot({
    image,
    cacheDir,
    memoryMb: 4096,
    bootTimeoutMs: 1_800_000,
    append: PATIENT_LOG,
    ...(options.transcript === undefined ? {} : { transcript: options.transcript }),
    files: [
      ...(await guestBundle('guest-link')),
      { path: UPDATE, from: update },
      { path: '/bin/fail_nth', from: await compileGuest('fail_nth', cacheDir), mode: 0o755 },
    ],
  });
  await must(vm, SETTINGS);
  await must(vm, `node ${HOME}/guest-link.cjs core ${UPDATE} ${CORE}`);
  for (const [name, prepare, action, inverse, check] of steps) {
    if (prepare !== '') await must(vm, prepare);
    const { exitCode, stdout, stderr } = await vm.run(`fail_nth '${action}' '${inverse}' '${check}'`, {
      timeoutMs: PATIENCE_MS,
    });
    const line = `${name}: ${stdout.trim()}`;
    onProgress(line);
    lines.push(line);
    if (exitCode !== 0) {
      problems.push(`${name}: exit status ${exitCode}: ${stderr.trim()}`);
      // The next step begins where this one should have ended.
      break;
    }
  }
  const { trouble } = judgeLog(withoutAllocationReports(await vm.kernelLog()), [LOADER_WITHOUT_MEMORY]);
  problems.push(...trouble.map((line) => `kernel log: ${line}`), ...(await leaks(vm)));
  return { ok: problems.length === 0, lines: [...lines, ...problems.map((one) => `FAILED ${one}`)] };
}

async function must(vm: Vm, command: string): Promise<void> {
  const { exitCode, stdout, stderr } = await vm.run(command, { timeoutMs: PATIENCE_MS });
  if (exitCode !== 0) throw new Error(`guest: ${command}: exit status ${exitCode}\n${stdout}${stderr}`);
}
