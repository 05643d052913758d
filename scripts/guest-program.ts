import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import type { GuestFile } from '../test/support/vm/initramfs.ts';

/** A program of ours in one file, `path` in the guest, and the decoder's WebAssembly, which it looks for beside itself. */
export async function guestProgram(entryPoint: string, path: string): Promise<readonly GuestFile[]> {
  const folder = await mkdtemp(join(tmpdir(), 'ksplice-guest-'));
  try {
    const outfile = join(folder, 'program.cjs');
    await build({
      entryPoints: [entryPoint],
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
      { path, contents: await readFile(outfile) },
      { path: `${dirname(path)}/iced_x86_bg.wasm`, from: join(decoder, 'iced_x86_bg.wasm') },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
