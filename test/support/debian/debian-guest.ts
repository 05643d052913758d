import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { debianSources } from '../../../src/debian/debian-sources.ts';
import { guestSource } from '../vm/guest-program.ts';
import type { GuestFile } from '../vm/initramfs.ts';
import { testCacheDir } from '../vm/test-kernel.ts';
import { Vm, type VmOptions } from '../vm/vm.ts';

const DRIVERS = /^virtio(?:_ring|_pci|_pci_modern_dev|_pci_legacy_dev|_blk)?\.ko$/;

/** Boots the system on a disk, with systemd; resolves when it takes commands, after what runs early in a boot. */
export async function bootDebian(
  disk: string,
  release: string,
  options: Pick<VmOptions, 'append' | 'transcript'> = {},
): Promise<Vm> {
  const cacheDir = testCacheDir();
  const { image, modules } = await debianSources(release, { cacheDir, parts: ['image'] });
  const drivers = (await readdir(modules, { recursive: true })).filter((file) =>
    DRIVERS.test(basename(file)),
  );
  const files: readonly GuestFile[] = [
    { path: '/init', from: guestSource('disk-init.sh'), mode: 0o755 },
    ...drivers.map((file) => ({ path: `/disk/${basename(file)}`, from: join(modules, file) })),
  ];
  return await Vm.boot({ ...options, image, cacheDir, files, disk, bootTimeoutMs: 300_000 });
}

/** Ends as a power failure does: what the guest has not brought to its disk is lost. */
export async function pullThePlug(vm: Vm): Promise<void> {
  process.kill(vm.qemuPid, 'SIGKILL');
  await vm.gone;
  await vm.close();
}

/** Shuts down in order. */
export async function shutDown(vm: Vm): Promise<void> {
  // The answer may be lost with the guest.
  await vm.run('systemctl --no-block poweroff').catch(() => undefined);
  await vm.gone;
  await vm.close();
}
