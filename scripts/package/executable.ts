/**
 * The program as one executable: Node, with the program in it (Node's documentation, "Single executable applications").
 *
 * Node is stripped before the program goes in, since postject leaves a file that strip damages.
 */
import { chmod, copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import { run } from '../../src/process/run.ts';
import { buildProgram, bundleOptions } from '../bundle.ts';

const ROOT = resolve(import.meta.dirname, '..', '..');
/** The word in Node's executable that says whether a program lies in it. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const PARTS = ['program.js', 'program.cache', 'start.cache', 'decoder.br'];

/** Builds it from this checkout and the Node that runs. */
export async function buildExecutable(output: string): Promise<void> {
  await mkdir(dirname(output), { recursive: true });
  const work = await mkdtemp(join(dirname(output), '.executable-'));
  try {
    await buildProgram(work);
    await build({
      ...bundleOptions,
      entryPoints: [join(ROOT, 'src', 'cli', 'sea-main.ts')],
      outfile: join(work, 'main.js'),
    });
    const config = {
      main: 'main.js',
      output: 'program.blob',
      disableExperimentalSEAWarning: true,
      assets: Object.fromEntries(PARTS.map((name) => [name, name])),
    };
    await writeFile(join(work, 'sea.json'), JSON.stringify(config));
    await run([process.execPath, '--experimental-sea-config', 'sea.json'], { cwd: work });
    const made = join(work, 'ksplice');
    await copyFile(process.execPath, made);
    await chmod(made, 0o755);
    await run(['strip', '--strip-unneeded', '--remove-section=.comment', made]);
    const postject = join(ROOT, 'node_modules', '.bin', 'postject');
    const blob = join(work, 'program.blob');
    await run([postject, made, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE]);
    await rename(made, output);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
