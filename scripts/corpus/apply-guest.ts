/**
 * A guest that updates are applied in: the kernel as it is, with all its modules, a file system on a disk, and
 * `smoke_load`.
 */
import { compileGuest } from '../../test/support/vm/guest-program.ts';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';
import { Vm } from '../../test/support/vm/vm.ts';
import type { StageContext } from './stage.ts';

export interface ApplyGuestOptions {
  readonly kernel: StageContext['kernel'];
  readonly cacheDir: string;
  /** The program, as `buildBundle` made it. */
  readonly bundle: string;
  /** Of `moduleTree`. */
  readonly modules: readonly GuestFile[];
}

/** Where smoke_load works with files: in memory, and on ext4. */
export const SMOKE_DIRECTORIES: readonly string[] = ['/tmp', '/mnt'];

const BOOT_TIMEOUT_MS = 600_000;
/**
 * The whole log of a guest: nothing that one update causes may be gone when it is looked at. And on a busy machine the
 * emulated timer may tick too late for the kernel, which then takes its interrupt controller for broken.
 */
const APPEND = 'log_buf_len=8M no_timer_check';
const MAKE_DISK = [
  '/sbin/modprobe loop',
  'truncate -s 32M /disk',
  'mke2fs -F /disk >/dev/null',
  'mkdir -p /mnt',
  'mount -t ext4 -o loop /disk /mnt',
].join(' && ');

export class ApplyGuest {
  readonly vm: Vm;
  /** IDs of updates that were undone and stay loaded. */
  readonly #residents = new Set<string>();

  private constructor(vm: Vm) {
    this.vm = vm;
  }

  /** Throws LostVmError if it does not come up. */
  static async boot(options: ApplyGuestOptions): Promise<ApplyGuest> {
    const { kernel, cacheDir, bundle, modules } = options;
    const smoke = {
      path: '/bin/smoke_load',
      from: await compileGuest('smoke_load', cacheDir),
      mode: 0o755,
    };
    const vm = await Vm.boot({
      image: kernel.image,
      cacheDir,
      bundle,
      files: [smoke, ...modules],
      append: APPEND,
      bootTimeoutMs: BOOT_TIMEOUT_MS,
    });
    try {
      const { exitCode, stderr } = await vm.run(MAKE_DISK);
      if (exitCode !== 0) throw new Error(`guest: no file system on a disk: ${stderr.trim()}`);
    } catch (error) {
      await vm.close();
      throw error;
    }
    return new ApplyGuest(vm);
  }

  get residents(): ReadonlySet<string> {
    return this.#residents;
  }

  addResident(id: string): void {
    this.#residents.add(id);
  }

  async close(): Promise<void> {
    await this.vm.close();
  }
}
