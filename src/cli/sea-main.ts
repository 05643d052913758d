/**
 * What the single-file executable starts: the program and what V8 made of it lie in it as assets (node:sea), and are run as launcher.ts runs the
 * files of a directory.
 */
import { getRawAsset } from 'node:sea';
import { Script } from 'node:vm';
import { compiledPart } from './compiled-part.ts';

type Wrapped = (
  exports: object,
  require: NodeJS.Require,
  module: NodeJS.Module,
  file: string,
  directory: string,
) => void;

function part(name: string): Buffer {
  const asset = getRawAsset(name);
  return typeof asset === 'string' ? Buffer.from(asset) : Buffer.from(asset);
}

// For who needs the decoder (scripts/bundle.ts), which else lies beside the program.
Reflect.set(globalThis, Symbol.for('ksplice.part'), part);
// As it was called: a name that the shell has looked up, and no path.
process.argv[1] = process.execPath;
const script = new Script(part('program.js').toString('latin1'), {
  filename: 'program.js',
  cachedData: part(compiledPart(process.argv[2])),
});
const run: Wrapped = script.runInThisContext();
run({}, require, module, process.execPath, '/');
