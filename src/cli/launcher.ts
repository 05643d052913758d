/**
 * What `node ksplice.cjs` starts: it runs the program that lies beside it, with the code that V8 made of it
 * when it was built.
 *
 * Compiling the program takes longer than most of what it does, and V8 can take over what it compiled
 * before (vm.Script, `cachedData`). It looks whether that fits its version, its flags and the length of the
 * source, and compiles afresh where it does not. Since only the length is looked at, program and
 * compiled code lie in one directory named for the contents, and are never renewed one by one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { compiledPart } from './compiled-part.ts';

/** Name of that directory, filled in when the program is built. */
declare const PARTS: string;

type Wrapped = (
  exports: object,
  require: NodeJS.Require,
  module: NodeJS.Module,
  file: string,
  directory: string,
) => void;

const parts = join(__dirname, PARTS);
const file = join(parts, 'program.js');

function compiled(): Buffer | undefined {
  try {
    return readFileSync(join(parts, compiledPart(process.argv[2])));
  } catch {
    // Left out when it was copied: slower, and as good.
    return undefined;
  }
}

const cachedData = compiled();
const script = new Script(readFileSync(file, 'latin1'), {
  filename: file,
  ...(cachedData === undefined ? {} : { cachedData }),
});
const run: Wrapped = script.runInThisContext();
run({}, require, module, file, parts);
