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

const CONTROL = `write:${SYSFS}/control`;
const CREATED = `${CONTROL}:forget torture;${CONTROL}:create torture`;

interface Step {
  readonly name: string;
  /** Shell text, before all of it. */
  readonly prepare?: string;
  readonly action: string;
  readonly inverse: string;
  /** What must be true before each action. */
  readonly check: string;
}

/** Each ends with its action done, and is where the next begins. */
const steps: readonly Step[] = [
  {
    name: 'loading the core',
    action: `insmod:${CORE}`,
    inverse: 'rmmod:ksplice',
    check: `absent:${SYSFS}`,
  },
  {
    name: 'create',
    action: `${CONTROL}:create torture`,
    inverse: `${CONTROL}:forget torture`,
    check: `absent:${SYSFS}/torture`,
  },
  {
    // A module of this name is never loaded, and partial lets that pass.
    name: 'pin',
    prepare: `echo 1 >${SYSFS}/torture/partial`,
    action: `${CONTROL}:pin torture absent`,
    inverse: `${CREATED};write:${SYSFS}/torture/partial:1`,
    check: `is:${SYSFS}/torture/pins:`,
  },
  {
    name: 'skip',
    prepare: `echo 'forget torture' >${SYSFS}/control && echo 'create torture' >${SYSFS}/control && echo 1 >${SYSFS}/torture/partial`,
    action: `${CONTROL}:skip torture absent 0123456789ABCDEF0123456`,
    inverse: `${CREATED};write:${SYSFS}/torture/partial:1`,
    check: `is:${SYSFS}/torture/pins:`,
  },
  {
    name: 'loading the update',
    prepare: `node ${HOME}/guest-link.cjs update ${UPDATE} ${MODULE}`,
    action: `insmod:${MODULE}`,
    inverse: 'rmmod:ksplice_torture',
    check: 'absent:/sys/module/ksplice_torture',
  },
  {
    name: 'apply',
    // So that the stage is the same after an undo as it was before.
    prepare: `echo applied >${STAGE} && echo reversed >${STAGE}`,
    action: `write:${STAGE}:applied`,
    inverse: `write:${STAGE}:reversed`,
    check: `is:${STAGE}:reversed`,
  },
  {
    name: 'undo',
    action: `write:${STAGE}:reversed`,
    inverse: `write:${STAGE}:applied`,
    check: `is:${STAGE}:applied`,
  },
  {
    name: 'apply as a list, and with debug',
    prepare: `echo 1 >${SYSFS}/torture/debug`,
    action: `${CONTROL}:apply torture`,
    inverse: `${CONTROL}:reverse torture`,
    check: `is:${STAGE}:reversed`,
  },
  {
    name: 'undo as a list, and with debug',
    action: `${CONTROL}:reverse torture`,
    inverse: `${CONTROL}:apply torture`,
    check: `is:${STAGE}:applied`,
  },
  {
    name: 'forget',
    prepare: 'rmmod ksplice_torture',
    action: `${CONTROL}:forget torture`,
    inverse: `${CONTROL}:create torture`,
    // There is the entry, whatever its stage.
    check: `exists:${SYSFS}/torture`,
  },
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
  for (const { name, prepare, action, inverse, check } of steps) {
    if (prepare !== undefined) await must(vm, prepare);
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
