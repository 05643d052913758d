/**
 * A guest with the tool and the test update in it, and what tests ask about it: what is loaded, what is left
 * lying about, and how the kernel behaves.
 */
import { expect } from 'vitest';
import { buildBundle } from '../bundle.ts';
import { compileGuest } from '../vm/guest-program.ts';
import type { GuestFile } from '../vm/initramfs.ts';
import { TEST_RELEASE, testCacheDir, testImage } from '../vm/test-kernel.ts';
import { Vm, type VmOptions } from '../vm/vm.ts';
import { UPDATE_ID, updateFile } from './update-file.ts';

/** Where the test update lies in the guest. */
export const UPDATE = `/root/${UPDATE_ID}.ksplice`;
const PROGRAMS = ['source_route', 'stuck_in_options'];
const APPLY_TIMEOUT_MS = 180_000;

export interface LiveGuestOptions
  extends Pick<VmOptions, 'append' | 'cpus' | 'cpusInTurn' | 'disk' | 'monitor'> {
  /** The test kernel unless told. */
  readonly release?: string;
  /** More programs of `test/guest/`. */
  readonly programs?: readonly string[];
}

/** Boots a kernel with ksplice, the update, and the programs of these tests. */
export async function bootLiveGuest(
  files: readonly GuestFile[] = [],
  options: LiveGuestOptions = {},
): Promise<Vm> {
  const { release = TEST_RELEASE, programs: more = [], ...boot } = options;
  const cacheDir = testCacheDir();
  const update = await updateFile();
  const programs = await Promise.all(
    [...PROGRAMS, ...more].map(async (name) => ({
      path: `/bin/${name}`,
      from: await compileGuest(name, cacheDir),
      mode: 0o755,
    })),
  );
  return await Vm.boot({
    ...boot,
    image: await testImage(release),
    cacheDir,
    bundle: await buildBundle(cacheDir),
    files: [{ path: UPDATE, from: update }, ...programs, ...files],
  });
}

export interface KspliceOutcome {
  readonly exitCode: number;
  /** Standard output under --json, parsed; the text if it is no JSON. */
  readonly json: unknown;
  readonly stderr: string;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Runs `ksplice COMMAND --json` in the guest; `before` is shell text that goes before it, as an assignment does. */
export async function guestKsplice(
  vm: Vm,
  command: string,
  options: { readonly uid?: number; readonly before?: string } = {},
): Promise<KspliceOutcome> {
  const { uid = 0, before = '' } = options;
  const { exitCode, stdout, stderr } = await vm.run(`${before} ksplice ${command} --json`, {
    uid,
    timeoutMs: APPLY_TIMEOUT_MS,
  });
  return { exitCode, json: parsed(stdout), stderr };
}

/** What can be seen of updates in a guest. */
export interface LiveState {
  /** Names of all modules loaded. */
  readonly modules: readonly string[];
  /** Entries below /sys/kernel/ksplice with their stages, `ID stage`; undefined where there is no core. */
  readonly entries: readonly string[] | undefined;
  /** Everything in /run/ksplice but the lock. */
  readonly leftovers: readonly string[];
  /** What an unprivileged user is answered who asks for source routing: `ok` or `EPERM`. */
  readonly answer: string;
  /** Lines of the kernel log that tell of trouble. */
  readonly trouble: readonly string[];
}

const LOOK = `
echo modules; cut -d' ' -f1 /proc/modules
if [ -d /sys/kernel/ksplice ]; then
  echo entries
  for d in /sys/kernel/ksplice/*/; do [ -f $d/stage ] && echo "$(basename $d) $(cat $d/stage)"; done
fi
echo leftovers; [ -d /run/ksplice ] && ls -A /run/ksplice | grep -v '^lock$'
echo answer; source_route 1000
echo trouble; dmesg | grep -E 'WARN|BUG|Oops|Call Trace|general protection|segfault|RIP: 0010'
true`;

/** Reads the state in one command. */
export async function look(vm: Vm): Promise<LiveState> {
  const { stdout } = await vm.run(LOOK);
  const parts = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of stdout.trimEnd().split('\n')) {
    if (/^(modules|entries|leftovers|answer|trouble)$/.test(line)) parts.set(line, (current = []));
    else current.push(line);
  }
  return {
    modules: parts.get('modules') ?? [],
    entries: parts.get('entries'),
    leftovers: parts.get('leftovers') ?? [],
    answer: (parts.get('answer') ?? []).join(' '),
    trouble: parts.get('trouble') ?? [],
  };
}

/** A kernel that nothing was done to. */
export const untouched: LiveState = {
  modules: [],
  entries: undefined,
  leftovers: [],
  answer: 'ok',
  trouble: [],
};

/** A kernel with the test update applied, and nothing else. */
export const updated: LiveState = {
  modules: [`ksplice_${UPDATE_ID}`, 'ksplice'],
  entries: [`${UPDATE_ID} applied`],
  leftovers: [UPDATE_ID],
  answer: 'EPERM',
  trouble: [],
};

/** Undoes the test update, which leaves nothing behind. */
export async function expectUndone(vm: Vm): Promise<void> {
  expect(await guestKsplice(vm, `undo ${UPDATE_ID}`)).toMatchObject({ exitCode: 0 });
  expect(await look(vm)).toEqual(untouched);
}
