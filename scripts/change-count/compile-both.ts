/**
 * A unit before and after the change of one file, by the command that kbuild recorded for it, with a section for each
 * function and object, and without objtool.
 *
 * Both are compiled in a folder of their own that holds nothing but the file and the unit that includes it; whatever
 * else they include is found where it was. `__LINE__` is 0, so that lines which only move change nothing.
 */
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { knownSources, readKnownUnit } from '../../src/build/known-units.ts';
import { runTool } from './run-tool.ts';

export interface KernelTree {
  /** Absolute; the commands are for it. */
  readonly source: string;
  readonly build: string;
}

export interface UnitCommand {
  /** `kernel/sched/build_policy.c` */
  readonly source: string;
  /** A line for the shell. */
  readonly line: string;
}

export interface BothObjects {
  readonly pre: string;
  readonly post: string;
}

/** What the compiler says of the patched file. */
export interface NotCompiled {
  readonly error: string;
}

/** C files of its folder, or below it, that a source includes. */
function includedSources(source: string, text: string): readonly string[] {
  return [...text.matchAll(/^\s*#\s*include\s+"([^"]+\.c)"/gm)].map(([, name = '']) =>
    path.join(path.dirname(source), name),
  );
}

/** The units that are compiled from each file: itself, and those that include it. Of all units that create has asked kbuild about. */
export async function readUnits(tree: KernelTree): Promise<ReadonlyMap<string, readonly UnitCommand[]>> {
  const units = new Map<string, UnitCommand[]>();
  const sources = await knownSources(tree.build);
  for (const source of sources.filter((each) => each.endsWith('.c'))) {
    const command = (await readKnownUnit(tree.build, source))?.command;
    if (command === undefined) continue;
    const [, line] = /^cmd_\S+ := (.*?)(?: ; \.\/tools\/objtool\/.*)?$/m.exec(command) ?? [];
    if (line === undefined) throw new Error(`${source}: no command of kbuild`);
    const unit = { source, line: line.replaceAll('$(pound)', '#').replaceAll('$$', '$') };
    const text = await readFile(path.join(tree.source, source), 'utf8');
    for (const file of new Set([source, ...includedSources(source, text)])) {
      units.set(file, [...(units.get(file) ?? []), unit]);
    }
  }
  return units;
}

/** Compiles in `work`, which is emptied first. `extra`: more flags. */
export async function compileBoth(
  tree: KernelTree,
  unit: UnitCommand,
  change: { readonly file: string; readonly patch: string },
  work: string,
  extra: readonly string[],
): Promise<BothObjects | NotCompiled> {
  await rm(work, { recursive: true, force: true });
  const roots = { pre: path.join(work, 'pre'), post: path.join(work, 'post') };
  for (const root of [roots.pre, roots.post]) {
    for (const file of new Set([change.file, unit.source])) {
      await mkdir(path.dirname(path.join(root, file)), { recursive: true });
      await copyFile(path.join(tree.source, file), path.join(root, file));
    }
  }
  await runTool(['patch', '-s', '-p1', '-d', roots.post, '-i', change.patch]);
  const pre = await compile(tree, unit, roots.pre, extra);
  try {
    return { pre, post: await compile(tree, unit, roots.post, extra) };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    const line = said.split('\n').find((each) => each.includes('error:'));
    if (line === undefined) throw error;
    return { error: line.replaceAll(`${roots.post}/`, '') };
  }
}

/** Some files make a name of `__LINE__`, or ask the compiler whether it is constant: these are compiled with it. */
async function compile(
  tree: KernelTree,
  unit: UnitCommand,
  root: string,
  extra: readonly string[],
): Promise<string> {
  const output = path.join(root, 'unit.o');
  const input = path.join(tree.source, unit.source);
  const directory = path.dirname(input);
  const command = unit.line.replace(/-Wp,-MMD,\S+ /, '').replace(/ -o \S+ \S+\s*$/, '');
  const flags = [
    '-g0',
    '-ffunction-sections',
    '-fdata-sections',
    '-Wno-error',
    '-Wno-builtin-macro-redefined',
    '-D__LINE__=0',
    `-fmacro-prefix-map=${root}/=`,
    '-iquote',
    directory,
    ...extra,
  ];
  await runTool(
    ['sh', '-c', `${command} ${flags.join(' ')} -o ${output} ${path.join(root, unit.source)}`],
    tree.build,
  );
  return output;
}
