/**
 * Builds a whole module with the patch in it: the .ko that a machine loads where the module is not loaded yet.
 *
 * Only this module is built. Its patched units are there already; its other units are compiled from the original
 * source, by the distributor's own commands. What kbuild does to a module after that takes a build of the whole
 * kernel first, so it is done here, step by step, with kbuild's own tools (scripts/Makefile.modpost, Makefile.modfinal):
 *
 *     ld -r                  the units to one object, in kbuild's order
 *     modpost                `NAME.mod.c`: struct module, the CRC of every symbol that is used, dependencies, aliases
 *     gcc                    the same, compiled as code of this module
 *     ld -r -T module.lds    both to NAME.ko
 *
 * CRCs come from the kernel's Module.symvers, those of what the module itself exports, too: modules that use it were built
 * with them, and an exported function that takes or returns something else is refused before (export-changes.ts).
 *
 * The module says `srcversion` of itself, as modules with a version do; here it is a hash of what it is made
 * of. That is how the fixed module is told from the original when it is loaded: it stands in
 * /sys/module/NAME/srcversion. There is no type information (BTF) in it: that needs the vmlinux of the build.
 */

import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InternalError, MissingError, RefusedError } from '../diagnostics/error.ts';
import { readObject } from '../elf/read-object.ts';
import { withFileLock } from '../process/file-lock.ts';
import type { OnProgress } from '../process/on-progress.ts';
import { type RunResult, run } from '../process/run.ts';
import { compileUnit } from './compile-unit.ts';
import { readConfiguration } from './configuration-units.ts';
import { inCleanEnvironment, runKbuild } from './kbuild.ts';
import { mapLimited } from './map-limited.ts';
import { type ModuleList, moduleNameOf } from './module-lists.ts';
import { readSymvers, splitExports } from './module-symvers.ts';
import { refuseOddPath } from './source-tree.ts';
import type { PreparedTree } from './tree.ts';

export interface BuildModuleOptions {
  readonly tree: PreparedTree;
  /** Module.symvers of the kernel, or the directory that has it. */
  readonly symvers: string;
  /** An existing directory for this module alone; no symbolic link in its path. */
  readonly workDir: string;
  readonly jobs: number;
  readonly onProgress?: OnProgress;
  readonly signal?: AbortSignal;
}

export interface WholeModule {
  /** As in /proc/modules: `sha256_ssse3`. */
  readonly name: string;
  /** `sha256-ssse3.ko`. */
  readonly file: string;
  /** What /sys/module/NAME/srcversion says while this very module is loaded: 24 digits, hexadecimal. */
  readonly srcversion: string;
  readonly bytes: Uint8Array;
}

/** Flags of KBUILD_LDFLAGS that make a difference to a relocatable object. */
const LD = ['ld', '-m', 'elf_x86_64', '-z', 'noexecstack', '-r'] as const;

/**
 * Builds the module `name`. `patched`: its patched units, compiled plainly, by object path (`net/8021q/vlan.o`).
 * Throws RefusedError for one that cannot be had alone, MissingError for what the machine lacks.
 */
export async function buildModule(
  name: string,
  patched: ReadonlyMap<string, Uint8Array>,
  options: BuildModuleOptions,
): Promise<WholeModule> {
  refuseOddPath(options.workDir);
  const module = await findModule(name, options);
  const { own, others } = splitExports((await readSymvers(options.symvers)).text, module.path);

  // Its units, laid out as in a build directory: modpost knows modules by their paths.
  await placeObjects(module, patched, options);
  const whole = await joinObjects(module, options);
  refuseUnknownExports(module, whole, own);

  // What modpost asks for, and what it makes of it.
  const source = await runModpost(module, own, others, options);
  const { text, srcversion } = withSrcversion(source, whole);
  await compileModuleInfo(module, text, options);
  const bytes = await finalLink(module, options);
  refuseTypeIds(module, bytes);
  return { name, file: `${path.basename(module.path)}.ko`, srcversion, bytes };
}

async function findModule(name: string, options: BuildModuleOptions): Promise<ModuleList> {
  const { modules } = await readConfiguration(options.tree, options);
  const [module, ...more] = modules.filter((each) => moduleNameOf(each) === name);
  if (module === undefined || more.length > 0) {
    throw new MissingError(
      'command_failed',
      `kbuild lists ${module === undefined ? 'no module' : `${more.length + 1} modules`} ${name}`,
      { hint: 'is this the source that the configuration belongs to?', details: { module: name } },
    );
  }
  return module;
}

async function placeObjects(
  module: ModuleList,
  patched: ReadonlyMap<string, Uint8Array>,
  options: BuildModuleOptions,
): Promise<void> {
  const { tree, workDir, jobs, onProgress, signal } = options;
  const { units } = await readConfiguration(tree, options);
  let done = 0;
  const missing = module.objects.filter((object) => !patched.has(object)).length;
  await mapLimited(module.objects, jobs, async (object) => {
    const output = path.join(workDir, object);
    await mkdir(path.dirname(output), { recursive: true });
    const bytes = patched.get(object);
    if (bytes !== undefined) {
      await writeFile(output, bytes);
      return;
    }
    const unit = units.find((each) => each.command.object === object);
    if (unit === undefined) {
      throw new RefusedError('refused', `${module.path}.ko: how ${object} is made is not understood`, {
        hint: 'leave out --build-modules: the module can then be updated while it is loaded',
        details: { module: module.path, object },
      });
    }
    const build = {
      command: unit.command,
      root: tree.source,
      side: 'pre',
      flags: [],
      types: undefined,
    } as const;
    await compileUnit(tree, { ...build, output: output.replace(/\.o$/, '') }, signal);
    done += 1;
    onProgress?.(`compiled ${object} for ${path.basename(module.path)}.ko, ${done} of ${missing}`, 'part');
  });
}

/** The module's units as one object, without debug information: it would have this directory's name in it. */
async function joinObjects(module: ModuleList, options: BuildModuleOptions): Promise<Uint8Array> {
  const object = `${module.path}.o`;
  // A module of one unit is named for it.
  if (!(module.objects.length === 1 && module.objects[0] === object)) {
    await runHere([...LD, '-o', object, ...module.objects], options);
  }
  await runHere(['objcopy', '--strip-debug', object], options);
  return await readFile(path.join(options.workDir, object));
}

/** An export that the kernel's own build does not have gets no CRC, so that nobody could be bound to it. */
function refuseUnknownExports(module: ModuleList, whole: Uint8Array, own: ReadonlyMap<string, string>): void {
  const exported = readObject(whole, `${module.path}.o`)
    .symbols.filter(({ name, place }) => name.startsWith('__ksymtab_') && typeof place === 'number')
    .map(({ name }) => name.slice('__ksymtab_'.length));
  const unknown = exported.filter((symbol) => !own.has(symbol));
  if (unknown.length === 0) return;
  throw new RefusedError(
    'refused',
    `${module.path}.ko: exports ${unknown.join(', ')}, which the kernel's Module.symvers does not list`,
    {
      hint: 'a new export cannot be part of a single module: leave out --build-modules',
      details: { module: module.path, symbols: unknown },
    },
  );
}

/** Returns the text of `NAME.mod.c`. */
async function runModpost(
  module: ModuleList,
  own: ReadonlyMap<string, string>,
  others: string,
  options: BuildModuleOptions,
): Promise<string> {
  const { tree, workDir } = options;
  const crcs = [...own].map(([symbol, crc]) => `#SYMVER ${symbol} ${crc}\n`).join('');
  const here = (file: string): string => path.join(workDir, file);
  await writeFile(here('others.symvers'), others);
  await writeFile(here(`${module.path}.mod`), module.objects.map((object) => `${object}\n`).join(''));
  for (const [index, object] of module.objects.entries()) {
    const record = path.join(path.dirname(object), `.${path.basename(object)}.cmd`);
    await writeFile(here(record), `\n${index === 0 ? crcs : ''}`);
  }
  const isOn = (option: string): boolean => tree.config.get(option) === 'y';
  const flags = [
    ...(isOn('MODVERSIONS') ? ['-m'] : []),
    ...(isOn('SECTION_MISMATCH_WARN_ONLY') ? [] : ['-E']),
    ...(isOn('MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS') ? ['-N'] : []),
  ];
  const modpost = path.join(tree.buildDir, 'scripts', 'mod', 'modpost');
  const result = await runHere([modpost, ...flags, '-i', 'others.symvers', '-T', '-'], options, {
    input: `${module.path}.o\n`,
    okExitCodes: [0, 1],
  });
  if (result.exitCode !== 0) throw modpostFailure(module, result.stderr);
  return await readFile(here(`${module.path}.mod.c`), 'utf8');
}

function modpostFailure(module: ModuleList, stderr: string): RefusedError {
  const lines = stderr.split('\n').filter((line) => line.startsWith('ERROR:'));
  const symbols = lines.flatMap((line) => /"([^"]+)" \[.*\] undefined!/.exec(line)?.[1] ?? []);
  const reason =
    symbols.length > 0
      ? `uses ${symbols.join(', ')}, which the kernel does not export to modules`
      : (lines[0]?.replace(/^ERROR: (?:modpost: )?/, '') ?? 'modpost refuses it');
  return new RefusedError('refused', `${module.path}.ko: ${reason}`, {
    hint: 'leave out --build-modules: the module can then be updated while it is loaded',
    details: { module: module.path, symbols, output: lines },
  });
}

/** The source with a srcversion that no other module has. */
function withSrcversion(
  source: string,
  whole: Uint8Array,
): { readonly text: string; readonly srcversion: string } {
  const text = source.replace(/^MODULE_INFO\(srcversion, .*\n/m, '');
  const digest = createHash('sha256').update(`${whole.length}:`).update(whole).update(text).digest('hex');
  const srcversion = digest.slice(0, 24).toUpperCase();
  return { text: `${text}\nMODULE_INFO(srcversion, "${srcversion}");\n`, srcversion };
}

/** Compiles `NAME.mod.c` as kbuild compiles a part of the module, with no flags of its directory. */
async function compileModuleInfo(
  module: ModuleList,
  text: string,
  options: BuildModuleOptions,
): Promise<void> {
  const { tree, workDir, jobs, onProgress, signal } = options;
  const directory = path.join(workDir, 'info');
  const name = path.basename(module.path);
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, `${name}.mod.c`), text);
  await writeFile(path.join(directory, 'Kbuild'), `obj-m := ${name}.o\n${name}-objs := ${name}.mod.o\n`);
  await withFileLock(
    tree.lockFile,
    async () => {
      const run = { jobs, logFile: tree.logFile, ...(signal === undefined ? {} : { signal }) };
      const script = path.join(tree.buildDir, 'scripts', 'module.lds');
      if ((await stat(script).catch(() => undefined)) === undefined) {
        await runKbuild(tree, ['modules_prepare'], run);
      }
      await runKbuild(tree, [`M=${directory}`, `${name}.mod.o`], run);
    },
    {
      wait: true,
      busyCode: 'apply_in_progress',
      onWait: () => onProgress?.('waiting for another ksplice that builds in the same tree'),
      signal,
    },
  );
}

async function finalLink(module: ModuleList, options: BuildModuleOptions): Promise<Uint8Array> {
  const { tree, workDir } = options;
  const info = path.join('info', `${path.basename(module.path)}.mod.o`);
  const script = path.join(tree.buildDir, 'scripts', 'module.lds');
  const output = `${module.path}.ko`;
  await rm(path.join(workDir, output), { force: true });
  await runHere(['objcopy', '--strip-debug', info], options);
  await runHere([...LD, '--build-id=sha1', '-T', script, '-o', output, `${module.path}.o`, info], options);
  const bytes = await readFile(path.join(workDir, output));
  if (!bytes.includes('vermagic=')) throw new InternalError('unexpected', `${output}: no vermagic in it`);
  return bytes;
}

/**
 * Numbers of types are filled in when the kernel is linked, by its type information, and functions that a module
 * registers for BPF are looked up in the module's own. Without both, registering fails, and with it the module's start.
 */
function refuseTypeIds(module: ModuleList, bytes: Uint8Array): void {
  const { sections } = readObject(bytes, `${module.path}.ko`);
  if (!sections.some(({ name, size }) => name === '.BTF_ids' && size > 0)) return;
  throw new RefusedError(
    'refused',
    `${module.path}.ko: has BTF ids, which need the type information of the whole kernel's build`,
    {
      hint: 'leave out --build-modules: the module can then be updated while it is loaded',
      details: { module: module.path },
    },
  );
}

/** Runs a command in the module's directory; its output goes to the tree's log. */
async function runHere(
  argv: readonly [string, ...string[]],
  { tree, workDir, signal }: BuildModuleOptions,
  more: { readonly input?: string; readonly okExitCodes?: readonly number[] } = {},
): Promise<RunResult> {
  return await run(inCleanEnvironment(argv), {
    cwd: workDir,
    env: { TMPDIR: workDir },
    logFile: tree.logFile,
    ...more,
    ...(signal === undefined ? {} : { signal }),
  });
}
