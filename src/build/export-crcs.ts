/**
 * CRCs of exports (CONFIG_MODVERSIONS), before and after the patch.
 *
 * Such a CRC stands for the declaration of a symbol and of every type that it reaches. It is in no object file: kbuild
 * preprocesses the unit once more with -D__GENKSYMS__, and scripts/genksyms makes CRCs of the text. The same is done
 * here for the patched source of each unit that exports something, a third of a second a unit, and compared with the
 * Module.symvers of the kernel. Only where a CRC is another one, the original is asked about too, and both for their types.
 *
 * Not looked at: exports of assembly, whose types are declared in asm/asm-prototypes.h, and kernels whose CRCs are made
 * from debug information (CONFIG_GENDWARFKSYMS).
 */
import { createReadStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { MissingError } from '../diagnostics/error.ts';
import { readObject } from '../elf/read-object.ts';
import { exportedNames } from '../kernel/tables/exported-names.ts';
import { run } from '../process/run.ts';
import { type CompileCommand, genksymsCommand } from './compile-command.ts';
import { inCleanEnvironment } from './kbuild.ts';
import { readExportCrcs } from './module-symvers.ts';
import { changedTypes, parseSymtypes, type Symtypes, type TypeTextChange } from './symtypes.ts';
import type { PreparedTree } from './tree.ts';

/** An export whose CRC differs. */
export interface ExportCrcChange {
  readonly name: string;
  readonly before: number;
  readonly after: number;
  /** Why; empty if the unit only knows more or less of the types. */
  readonly types: readonly TypeTextChange[];
}

/** A unit, compiled. */
export interface ExportingUnit {
  readonly command: CompileCommand;
  readonly source: string;
  readonly pre: Uint8Array;
  readonly post: Uint8Array;
}

/** Reads the kernel's CRCs if it has any and one of the units exports something. Throws MissingError. */
export async function readKernelCrcs(
  tree: PreparedTree,
  units: readonly ExportingUnit[],
): Promise<ReadonlyMap<string, number>> {
  const hasCrcs = tree.config.get('MODVERSIONS') === 'y' && tree.config.get('GENDWARFKSYMS') !== 'y';
  if (!hasCrcs || tree.symvers === undefined || !units.some((unit) => keptExports(unit).length > 0)) {
    return new Map();
  }
  return await readExportCrcs(tree.symvers);
}

function keptExports({ command, source, pre, post }: ExportingUnit): readonly string[] {
  if (!source.endsWith('.c')) return [];
  const after = exportedNames(readObject(post, command.object));
  if (after.size === 0) return [];
  return [...exportedNames(readObject(pre, command.object))].filter((name) => after.has(name));
}

/**
 * What a unit exports before and after the patch with different CRCs, sorted by name.
 * @param mirror the patched tree
 * @param kernel the kernel's CRCs
 * @param directory for what is written meanwhile
 * @throws MissingError if the unit cannot be preprocessed, or genksyms does not run
 */
export async function exportCrcChanges(
  tree: PreparedTree,
  unit: ExportingUnit,
  {
    mirror,
    kernel,
    directory,
    signal,
  }: {
    readonly mirror: string;
    readonly kernel: ReadonlyMap<string, number>;
    readonly directory: string;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<readonly ExportCrcChange[]> {
  const names = kernel.size === 0 ? [] : keptExports(unit);
  if (names.length === 0) return [];
  const ask = async (side: 'pre' | 'post'): Promise<Versions> =>
    await askGenksyms(tree, unit.command, {
      root: side === 'pre' ? tree.source : mirror,
      output: path.join(directory, side, unit.command.object),
      signal,
    });
  const post = await ask('post');
  if (post.crcs.size === 0 && names.some((name) => kernel.has(name))) {
    throw new MissingError('command_failed', `${unit.command.object}: genksyms tells no CRC of its exports`, {
      hint: `the kernel has CRCs of them; look at what ${tree.buildDir}/scripts/genksyms/genksyms prints for its source`,
      details: { unit: unit.command.object, exports: names },
    });
  }
  if (names.every((name) => post.crcs.get(name) === kernel.get(name))) return [];
  const pre = await ask('pre');
  return [...names].sort().flatMap((name) => {
    const [before, after] = [pre.crcs.get(name), post.crcs.get(name)];
    // A name that genksyms passes over has no CRC in the kernel either.
    if (before === undefined || after === undefined || before === after) return [];
    return [{ name, before, after, types: changedTypes(name, pre.types, post.types) }];
  });
}

interface Versions {
  readonly crcs: ReadonlyMap<string, number>;
  readonly types: Symtypes;
}

/** The CRCs of a unit's exports, made as scripts/Makefile.build makes them, and the types that they are made of. */
export async function askGenksyms(
  tree: PreparedTree,
  command: CompileCommand,
  where: { readonly root: string; readonly output: string; readonly signal?: AbortSignal | undefined },
): Promise<Versions> {
  const [text, types] = [`${where.output}.i`, `${where.output}.symtypes`];
  await mkdir(path.dirname(where.output), { recursive: true });
  const options = { cwd: tree.buildDir, ...(where.signal === undefined ? {} : { signal: where.signal }) };
  const preprocess = genksymsCommand(command, tree.source, { root: where.root, output: text });
  await run(inCleanEnvironment(preprocess), options);
  const { stdout } = await run(['scripts/genksyms/genksyms', '-r', '/dev/null', '-T', types], {
    ...options,
    input: createReadStream(text),
  });
  const crcs = new Map(
    [...stdout.matchAll(/^#SYMVER (\S+) 0x([0-9a-f]+)$/gm)].map(
      ([, name = '', crc = '']) => [name, Number.parseInt(crc, 16)] as const,
    ),
  );
  return { crcs, types: parseSymtypes(await readFile(types, 'utf8')) };
}
