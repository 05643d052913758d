/**
 * Makes the program as it is copied to a machine (or into a guest) that has Node and nothing else:
 *
 *     dist/ksplice.cjs             starts it (src/cli/launcher.ts)
 *     dist/ksplice-HASH/program.js     the whole tool, in one CommonJS file, as the function that Node makes of such a file
 *     dist/ksplice-HASH/program.cache  the same as V8 compiled it, every function
 *     dist/ksplice-HASH/start.cache    the functions of a start, and of what only looks
 *     dist/ksplice-HASH/decoder.br     the decoder, compressed
 *
 * A command's modules stay behind the functions that esbuild puts around dynamic imports: `--help` runs none of
 * them. The decoder is another matter: 900 KB of JavaScript, and WebAssembly in a second file. Only a
 * mismatch report and `create` need it, while every start would pay for reading it. So both lie in a file of
 * their own, and are unpacked at first use.
 *
 * The compiled code holds every function, not only those that run when the program is loaded: V8's flag
 * `--no-lazy` while it compiles, and back before it writes, since it notes the flags and refuses others. Made by
 * the same Node that will run it, in a process of its own, since flags are for a whole process.
 *
 * Run as a program it builds into dist: `npx tsx scripts/bundle.ts`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';
import { type BuildOptions, build, type Plugin } from 'esbuild';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Where the program lies in a checkout. */
export const BUNDLE_PATH: string = join(ROOT, 'dist', 'ksplice.cjs');

const PARTS = /^ksplice-[0-9a-f]{16}$/;
/** Nobody still starts what was replaced this long ago. */
const MILLISECONDS_KEPT = 24 * 3600 * 1000;

const READ_WASM = "const path = require('path').join(__dirname, 'iced_x86_bg.wasm');";
const READ_BYTES = "const bytes = require('fs').readFileSync(path);";

/** In place of the decoder: compiles the packed one when it is first required. */
const UNPACK_AT_FIRST_USE = `
  const part = globalThis[Symbol.for('ksplice.part')] ??
    ((name) => require('fs').readFileSync(require('path').join(__dirname, name)));
  const packed = part('decoder.br');
  const unpacked = { exports: {} };
  new Function('module', 'exports', 'require', require('zlib').brotliDecompressSync(packed).toString())(
    unpacked, unpacked.exports, require);
  module.exports = unpacked.exports;`;

function decoderApart(output: string): Plugin {
  return {
    name: 'decoder-apart',
    setup(pluginBuild) {
      pluginBuild.onLoad({ filter: /[\\/]iced_x86\.js$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        if (!source.includes(READ_WASM) || !source.includes(READ_BYTES)) {
          throw new Error(`${path}: does not load its WebAssembly the way this bundle knows`);
        }
        const wasm = await readFile(join(dirname(path), 'iced_x86_bg.wasm'), 'base64');
        const whole = source
          .replace(READ_WASM, '')
          .replace(READ_BYTES, `const bytes = Buffer.from('${wasm}', 'base64');`);
        // The best quality takes three seconds more, for a tenth of the size.
        const quality = { [constants.BROTLI_PARAM_QUALITY]: 9 };
        await writeFile(output, brotliCompressSync(whole, { params: quality }));
        return { contents: UNPACK_AT_FIRST_USE, loader: 'js' };
      });
    },
  };
}

export const bundleOptions: BuildOptions = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  // The single-file executable of Node 20 takes nothing else.
  format: 'cjs',
  // The launcher reads it as such, which is faster.
  charset: 'ascii',
  minify: true,
  // Errors are printed by their class.
  keepNames: true,
  legalComments: 'inline',
  logLevel: 'warning',
};

const COMPILE = `
  const [source, output] = process.argv.slice(1);
  const v8 = require('v8');
  v8.setFlagsFromString('--no-lazy');
  const text = require('fs').readFileSync(source, 'latin1');
  const script = new (require('vm').Script)(text, { filename: 'program.js' });
  for (const flag of ['--lazy', '--random-seed=0', '--hash-seed=0']) v8.setFlagsFromString(flag);
  require('fs').writeFileSync(output, script.createCachedData());`;

/**
 * What is compiled when the program has run: the functions that it has called, a fifth of all. Taking over the whole costs a third of Node's own start.
 */
const COMPILE_START = `
  const [source, output] = process.argv.slice(1);
  const { createRequire } = require('module');
  const script = new (require('vm').Script)(require('fs').readFileSync(source, 'latin1'), {
    filename: 'program.js',
  });
  const run = script.runInThisContext();
  const exit = process.exit;
  const commands = [['--help'], ['view'], ['--version']];
  process.exit = () => {
    const command = commands.shift();
    if (command === undefined) {
      const v8 = require('v8');
      for (const flag of ['--flush-bytecode', '--random-seed=0', '--hash-seed=0']) v8.setFlagsFromString(flag);
      require('fs').writeFileSync(output, script.createCachedData());
      exit(0);
    }
    process.argv = [process.execPath, source, ...command];
    run({}, createRequire(source), module, source, require('path').dirname(source));
  };
  process.exit();`;

/** The program, its compiled code and the decoder, in `directory`. The same sources give the same bytes. */
export async function buildProgram(directory: string): Promise<void> {
  const program = join(directory, 'program.js');
  await build({
    ...bundleOptions,
    entryPoints: [join(ROOT, 'src', 'cli', 'main.ts')],
    outfile: program,
    banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
    footer: { js: '})' },
    plugins: [decoderApart(join(directory, 'decoder.br'))],
  });
  // Given seeds make the compiled code the same each time.
  const seeds = ['--random-seed=1', '--hash-seed=1'];
  execFileSync(process.execPath, [...seeds, '-e', COMPILE, program, join(directory, 'program.cache')]);
  execFileSync(
    process.execPath,
    [...seeds, '--no-flush-bytecode', '-e', COMPILE_START, program, join(directory, 'start.cache')],
    { stdio: 'ignore' },
  );
}

/** Of what the compiled code is made from: two compilations of one source need not be the same bytes. */
async function sourceHash(directory: string): Promise<string> {
  const hash = createHash('sha256').update(`2 ${process.version}`);
  for (const name of ['decoder.br', 'program.js']) {
    hash.update(`${name}\0`).update(await readFile(join(directory, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function removeOld(directory: string, current: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!PARTS.test(name) || name === current) continue;
    const path = join(directory, name);
    // Another build may be removing them, too.
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.ctimeMs > MILLISECONDS_KEPT)
      await rm(path, { recursive: true, force: true });
  }
}

/**
 * Builds the program and returns the path of the file that starts it. That appears last, and names the
 * directory that it starts: two builds at once, or one that is interrupted, leave a program that runs.
 */
export async function buildBundle(outputFile: string = BUNDLE_PATH): Promise<string> {
  const start = new Date();
  const directory = dirname(outputFile);
  await mkdir(directory, { recursive: true });
  const work = await mkdtemp(join(directory, '.building-'));
  try {
    const made = join(work, 'parts');
    await mkdir(made);
    await buildProgram(made);
    const parts = `ksplice-${await sourceHash(made)}`;
    await rename(made, join(directory, parts)).catch((error: unknown) => {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      // The same program is there already.
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    });
    const launcher = join(work, 'ksplice.cjs');
    await build({
      ...bundleOptions,
      entryPoints: [join(ROOT, 'src', 'cli', 'launcher.ts')],
      outfile: launcher,
      define: { PARTS: JSON.stringify(parts) },
      banner: { js: '#!/usr/bin/env node' },
    });
    // As old as what it was made from: a source that was edited meanwhile is newer.
    await utimes(launcher, start, start);
    await rename(launcher, outputFile);
    await removeOld(directory, parts);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return outputFile;
}

export interface BundleFile {
  /** Relative to the directory of the file that starts the program. */
  readonly name: string;
  readonly path: string;
}

/** All files that have to be copied for the program that `outputFile` starts. */
export async function bundleFiles(outputFile: string): Promise<readonly BundleFile[]> {
  const directory = dirname(outputFile);
  const parts = /ksplice-[0-9a-f]{16}/.exec(await readFile(outputFile, 'utf8'))?.[0];
  if (parts === undefined) throw new Error(`${outputFile}: does not name the program that it starts`);
  const names = await readdir(join(directory, parts));
  return [basename(outputFile), ...names.map((name) => join(parts, name))].map((name) => ({
    name,
    path: join(directory, name),
  }));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await buildBundle();
}
