import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';

/** Where the programs lie in the guest. */
export const HOME = '/root/torture';

/**
 * For the kernel's command line. The log shall keep what thousands of switches print. And a host that has no processor for the
 * guest makes its kernel believe after 20 s that CPUs stall, or, while it boots, that there is no timer: a stall of
 * ours would not end after minutes either.
 */
export const PATIENT_LOG =
  'log_buf_len=32M rcupdate.rcu_cpu_stall_timeout=300 watchdog_thresh=60 no_timer_check';

/** A program of this folder in one file, `HOME/NAME.cjs`, and the decoder's WebAssembly, which it looks for beside itself. */
export async function guestBundle(name: 'guest-main' | 'guest-link'): Promise<readonly GuestFile[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ksplice-torture-'));
  try {
    const outfile = join(folder, `${name}.cjs`);
    await build({
      entryPoints: [join(import.meta.dirname, `${name}.ts`)],
      outfile,
      bundle: true,
      platform: 'node',
      target: 'node20.19',
      format: 'cjs',
      keepNames: true,
      logLevel: 'warning',
    });
    const decoder = dirname(createRequire(import.meta.url).resolve('iced-x86'));
    return [
      { path: `${HOME}/${name}.cjs`, contents: await readFile(outfile) },
      { path: `${HOME}/iced_x86_bg.wasm`, from: join(decoder, 'iced_x86_bg.wasm') },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
