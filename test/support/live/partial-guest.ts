/**
 * A guest with the kernel's own modules where modprobe looks for them, and updates that carry the 8021q module as a whole:
 * `mixed` has a function of the kernel proper, too.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { patchFile } from '../case/read-cases.ts';
import type { GuestFile } from '../vm/initramfs.ts';
import { TEST_RELEASE, testModule } from '../vm/test-kernel.ts';
import type { Vm } from '../vm/vm.ts';
import { hostBundle, hostKsplice } from './host-cli.ts';
import { bootLiveGuest, guestKsplice, type KspliceOutcome, type LiveState, look } from './live-guest.ts';
import { FIXED_FUNCTION, fixPatch } from './update-file.ts';

export const TREE = `/lib/modules/${TEST_RELEASE}`;
export const MIXED = 'mixed';
/** The module's update alone. */
export const ALONE = 'alone';
export const MODULE = '8021q';
export const MODULE_FUNCTION = 'vlan_seq_show';
export const KERNEL_FUNCTION = FIXED_FUNCTION;
export const ORIGINAL = `${TREE}/kernel/net/${MODULE}.ko`;
const NEEDED = ['llc', 'stp', 'garp', 'mrp', MODULE];

/** Where an update's fixed module lies while it is installed. */
export function fixedFile(id: string): string {
  return `${TREE}/updates/ksplice/${id}/${MODULE}.ko`;
}

/** Makes the updates, `mixed.ksplice` and `alone.ksplice`. */
export async function createInto(folder: string): Promise<void> {
  const bundle = await hostBundle();
  await writeFile(join(folder, 'kernel.patch'), await fixPatch());
  const module = ['--patch', patchFile('module', 'fix.patch')];
  const common = ['--kernel', TEST_RELEASE, '--build-modules'];
  for (const args of [
    ['--id', MIXED, '--patch', 'kernel.patch', ...module, ...common],
    ['--id', ALONE, ...module, ...common],
  ]) {
    const { exitCode, stderr } = await hostKsplice(bundle, ['create', ...args], folder);
    if (exitCode !== 0) throw new Error(`ksplice create: exit status ${exitCode}\n${stderr}`);
  }
}

/** The updates in `folder`, and the kernel's modules in their places. */
export async function partialFiles(folder: string): Promise<readonly GuestFile[]> {
  const modules = NEEDED.map(async (name) => ({
    path: `${TREE}/kernel/net/${name}.ko`,
    from: await testModule(name),
  }));
  const updates = [MIXED, ALONE].map((id) => ({
    path: `/root/${id}.ksplice`,
    from: join(folder, `${id}.ksplice`),
  }));
  return [...(await Promise.all(modules)), ...updates];
}

/** Makes the updates and boots the guest; nothing is loaded, nothing applied. */
export async function bootPartialGuest(): Promise<Vm> {
  const folder = await mkdtemp(join(tmpdir(), 'ksplice-partial-'));
  try {
    await createInto(folder);
    const kill = { path: '/opt/kill-at.cjs', from: new URL('kill-at.cjs', import.meta.url).pathname };
    const vm = await bootLiveGuest([...(await partialFiles(folder)), kill]);
    await vm.run('depmod', { timeoutMs: 60_000 });
    return vm;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function apply(vm: Vm, id: string, flags = '--partial', before = ''): Promise<KspliceOutcome> {
  return await guestKsplice(vm, `apply ${flags} /root/${id}.ksplice`, { before });
}

/** Shell text that has the tool die, or stop, at a place (kill-at.cjs). */
export function dyingAt(place: string, signal = 'SIGKILL'): string {
  return `KSPLICE_TEST_KILL='${place}' KSPLICE_TEST_SIGNAL=${signal} NODE_OPTIONS='--require /opt/kill-at.cjs'`;
}

/** What a person sees of modules: the live state, what modprobe takes, what is installed, and what the module prints. */
export interface PartialState extends LiveState {
  /** modprobe's choice for the module, relative to the tree. */
  readonly first: string;
  /** Everything in the directory of installed modules, and the directory itself. */
  readonly files: readonly string[];
}

export async function lookAtModules(vm: Vm): Promise<PartialState> {
  const first = await vm.run(`modinfo -n ${MODULE}`);
  const files = await vm.run(`find ${TREE}/updates 2>/dev/null | sort`);
  return {
    ...(await look(vm)),
    first: first.stdout.trim().replace(`${TREE}/`, ''),
    files: files.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.replace(`${TREE}/`, '')),
  };
}

/** How the loaded module begins its list: `VLAN Dev name` as it was, `VLAN dev name` with the fix. */
export async function moduleAnswer(vm: Vm): Promise<string> {
  const { stdout } = await vm.run('head -1 /proc/net/vlan/config');
  return /^VLAN [Dd]ev name/.exec(stdout)?.[0] ?? stdout;
}

/** Unloads the module and what came with it. */
export async function unloadModules(vm: Vm): Promise<void> {
  await vm.run(`modprobe -r ${MODULE} llc`);
}
