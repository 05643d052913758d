/**
 * A machine that keeps, on a disk of its own, what ksplice keeps beyond a boot: the kernel's modules with the fixed ones, and
 * /var/lib/ksplice. It can be cut off at any moment, and booted again from what had come to the disk by then.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { run } from '../../../src/process/run.ts';
import type { GuestFile } from '../vm/initramfs.ts';
import { LostVmError } from '../vm/lost-vm-error.ts';
import { testModule } from '../vm/test-kernel.ts';
import { shellQuote, type Vm } from '../vm/vm.ts';
import { bootLiveGuest } from './live-guest.ts';
import { createInto, partialFiles, TREE } from './partial-guest.ts';

const DISK = 'disk';
const DISK_MB = 64;
/** In the order in which they can be loaded. */
const DRIVERS = [
  'virtio',
  'virtio_ring',
  'virtio_pci_modern_dev',
  'virtio_pci_legacy_dev',
  'virtio_pci',
  'virtio_blk',
] as const;
const DO_AT = '/opt/do-at.cjs';
/** The machine is gone before `sleep` has begun: nothing is written any more, as without power. */
const CUT = 'echo b >/proc/sysrq-trigger; sleep 1000';

/** Puts the disk in its places. What is on it for the first time is copied from the initramfs. */
const MOUNT = `set -e
for module in ${DRIVERS.join(' ')}; do insmod /disk/$module.ko; done
until [ -b /dev/vda ]; do usleep 50000; done
mkdir /disk/root && mount -t ext4 /dev/vda /disk/root && cd /disk/root
if [ ! -d state ]; then
  mkdir -m 700 state && cp -a ${TREE} modules && sync
fi
mount -o bind modules ${TREE}
mkdir -p /var/lib/ksplice && mount -o bind state /var/lib/ksplice
[ -e ${TREE}/modules.dep ] || { depmod && sync; }`;

export class DiskMachine {
  readonly #folder: string;
  readonly #files: readonly GuestFile[];

  private constructor(folder: string, files: readonly GuestFile[]) {
    this.#folder = folder;
    this.#files = files;
  }

  /** Makes the disk, and the updates of partial-guest.ts for it. */
  static async make(): Promise<DiskMachine> {
    const folder = await mkdtemp(join(tmpdir(), 'ksplice-machine-'));
    await createInto(folder);
    await run(['mke2fs', '-q', '-t', 'ext4', '-O', '^metadata_csum', join(folder, DISK), `${DISK_MB}M`]);
    const drivers = await Promise.all(DRIVERS.map(async (name) => await testModule(name)));
    return new DiskMachine(folder, [
      ...(await partialFiles(folder)),
      ...drivers.map((from) => ({ path: `/disk/${basename(from)}`, from })),
      { path: DO_AT, from: new URL('do-at.cjs', import.meta.url).pathname },
    ]);
  }

  async boot(): Promise<Vm> {
    const vm = await bootLiveGuest(this.#files, { disk: join(this.#folder, DISK) });
    const { exitCode, stderr } = await vm.run(MOUNT, { timeoutMs: 60_000 });
    if (exitCode !== 0) throw new Error(`guest: the disk: ${stderr}`);
    return vm;
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Runs `ksplice ARGUMENTS`, during which the machine is cut off at a place (do-at.cjs), and does not come to its end. */
export async function cutOffAt(vm: Vm, place: string, argv: string): Promise<void> {
  const before = `KSPLICE_TEST_AT=${shellQuote(place)} KSPLICE_TEST_RUN=${shellQuote(CUT)} NODE_OPTIONS='--require ${DO_AT}'`;
  try {
    const { exitCode, stderr } = await vm.run(`${before} ksplice ${argv}`, { timeoutMs: 180_000 });
    throw new Error(`ksplice ${argv}: came to its end before ${place}: exit status ${exitCode}\n${stderr}`);
  } catch (error) {
    if (!(error instanceof LostVmError)) throw error;
  }
  await vm.close();
}
