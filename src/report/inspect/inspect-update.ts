/** An update taken apart for whoever has to say yes to it. */
import { STB_LOCAL } from '../../elf/constants.ts';
import type { UpdateCheck } from '../../link/check-update.ts';
import { readObjects, type UpdateObjects } from '../../link/update-objects.ts';
import { parseUpdateChanges } from '../../update/changes.ts';
import type { Update } from '../../update/update.ts';
import { loadDecoder } from '../../x86/decoder.ts';
import { printableLines } from '../printable.ts';
import { inspectUnit } from './inspect-unit.ts';
import type { Inspection, KernelCheck } from './inspection.ts';

/** A kernel that the update was held against. */
export interface CheckedKernel extends Omit<KernelCheck, 'units'> {
  readonly isRunning: boolean;
  readonly check: UpdateCheck;
}

/** Names that a unit of the update brings for the others, and that unit. */
function newGlobals({ units }: UpdateObjects): ReadonlyMap<string, string> {
  return new Map(
    units.flatMap(({ path, replacement }) =>
      replacement.symbols
        .filter(({ binding, place }) => binding !== STB_LOCAL && typeof place === 'number')
        .map(({ name }) => [name, path] as const),
    ),
  );
}

/** What is known of the file beside its contents. */
export interface InspectedFile {
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  /** What its signature is worth here, in words; undefined if there is nothing to say. */
  readonly signedBy: string | undefined;
}

/**
 * @throws FormatError if an object or changes.json is malformed
 */
export async function inspectUpdate(
  update: Update,
  { file, size, signedBy }: InspectedFile,
  kernel?: CheckedKernel,
): Promise<Inspection> {
  const objects = readObjects(update);
  const paths = update.units.map(({ path }) => path);
  const changes = update.changes === undefined ? undefined : parseUpdateChanges(update.changes, paths, file);
  const decoder = await loadDecoder();
  const broughtBy = newGlobals(objects);
  const units = update.units.flatMap((unit, index) => {
    const object = objects.units[index];
    if (object === undefined) return [];
    return inspectUnit(
      {
        unit,
        pre: object.pre,
        replacement: object.replacement,
        below: new Map(object.on.map(({ id, replacement }) => [id, replacement])),
        changes: changes?.units[index],
        check: kernel?.check.units[index],
        match: kernel?.check.matches[index],
        isRunning: kernel?.isRunning ?? false,
        broughtBy,
      },
      decoder,
    );
  });
  return {
    file,
    size,
    digest: update.digest,
    id: update.id,
    description: update.description,
    cves: update.cves,
    signedBy: signedBy ?? null,
    on: update.on,
    createdBy: update.createdBy,
    matching: update.matching,
    kernel: update.kernel,
    core: { interface: update.coreInterface, size: update.core.length },
    stub: { size: update.stub.length },
    patches: update.patches.map(({ name, bytes }, index) => ({
      name,
      size: bytes.length,
      sha256: update.manifest.patches[index]?.sha256 ?? '',
      text: printableLines(Buffer.from(bytes).toString('utf8')),
    })),
    units,
    created:
      changes === undefined ? null : { notes: changes.notes, remarks: changes.remarks, same: changes.same },
    check: kernel === undefined ? null : describeCheck(kernel),
  };
}

function describeCheck({ release, banner, kernel, fits, problem, check }: CheckedKernel): KernelCheck {
  return { release, banner, kernel, fits, problem, units: check.units };
}
