/**
 * Makes dist/ksplice.cjs: the whole tool in one file, so that it starts fast and can be copied to a
 * machine (or into a guest) that has Node and nothing else.
 *
 * The format is CommonJS because the single-file executable of Node 20 takes nothing else. A command's
 * modules stay behind the functions that esbuild puts around dynamic imports: `--help` runs none of them.
 * The decoder is another matter: 900 KB of JavaScript, and WebAssembly in a second file that it reads from
 * beside itself. Only a mismatch report and `create` need it, while every start would pay for reading it. So
 * both go inside compressed, as one string that the parser passes over, and are unpacked at first use.
 *
 * Run as a program it builds the bundle: `npx tsx scripts/bundle.ts`.
 */
import { mkdir, readFile, rename, utimes } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { build, type Plugin } from 'esbuild';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Where the bundle lies in a checkout. */
export const BUNDLE_PATH: string = join(ROOT, 'dist', 'ksplice.cjs');

const READ_WASM = "const path = require('path').join(__dirname, 'iced_x86_bg.wasm');";
const READ_BYTES = "const bytes = require('fs').readFileSync(path);";

/** A CommonJS module that compiles the packed one when it is first required. */
function unpackAtFirstUse(packed: string): string {
  return `
    const source = require('zlib').brotliDecompressSync(Buffer.from('${packed}', 'base64')).toString();
    const unpacked = { exports: {} };
    new Function('module', 'exports', 'require', source)(unpacked, unpacked.exports, require);
    module.exports = unpacked.exports;`;
}

const inlineDecoder: Plugin = {
  name: 'inline-decoder',
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
      const packed = brotliCompressSync(whole).toString('base64');
      return { contents: unpackAtFirstUse(packed), loader: 'js' };
    });
  },
};

/**
 * Builds the bundle and returns its path. The file appears whole or not at all: two builds at once, or
 * one that is interrupted, leave a bundle that runs.
 */
export async function buildBundle(outputFile: string = BUNDLE_PATH): Promise<string> {
  const start = new Date();
  const temporary = `${outputFile}.${process.pid}.tmp`;
  await mkdir(dirname(outputFile), { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: [join(ROOT, 'src', 'cli', 'main.ts')],
    outfile: temporary,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    banner: { js: '#!/usr/bin/env node' },
    minify: true,
    // Errors are printed by their class.
    keepNames: true,
    legalComments: 'inline',
    logLevel: 'warning',
    plugins: [inlineDecoder],
  });
  // As old as what it was made from: a source that was edited meanwhile is newer.
  await utimes(temporary, start, start);
  await rename(temporary, outputFile);
  return outputFile;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await buildBundle();
}
