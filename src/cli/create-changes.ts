/** What create records of its findings, in changes.json of the update (docs/update-format.md). */
import type { BuiltUnit, BuiltUnits } from '../build/build-units.ts';
import type { SourceOfObject } from '../build/source-of-code.ts';
import type { Diagnostic } from '../diff/diagnostic.ts';
import { findPatchedCode, type SourceOfCode } from '../diff/patched-code.ts';
import type { ItemPart, UnitChange } from '../diff/unit-change.ts';
import { readLineRows } from '../elf/line-table.ts';
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import type { UnitChanges, UpdateChanges } from '../update/changes.ts';
import { oneLine } from './one-line.ts';

/** A unit that is compared, with both objects as its change speaks of them. */
export interface ComparedUnit {
  readonly unit: BuiltUnit;
  readonly pre: ObjectFile;
  readonly post: ObjectFile;
  readonly change: UnitChange;
}

/** As long as a text in changes.json may be. */
const LONGEST = 4096;

const words = (text: string): string => oneLine(text, LONGEST);

/**
 * @param compared all units that were compiled
 * @param used those of the update, in its order
 * @param diagnostics what was said about them, none of which refuses the update
 */
export function describeChanges(
  built: BuiltUnits,
  compared: readonly ComparedUnit[],
  used: readonly ComparedUnit[],
  diagnostics: readonly Diagnostic[],
): UpdateChanges {
  return {
    format: 1,
    notes: built.notes.map(words),
    remarks: diagnostics.flatMap(({ code, severity, message, hint }) =>
      severity === 'error'
        ? []
        : [{ code, severity, message: words(message), ...(hint === undefined ? {} : { hint: words(hint) }) }],
    ),
    same: compared.filter((one) => !used.includes(one)).map(({ unit }) => unit.path),
    units: used.map((one) => describeUnit(one, built)),
  };
}

function data({ name, size, sectionName }: ItemPart): UnitChanges['newData'][number] {
  return { name, size, section: sectionName };
}

function readSource(path: string, source: SourceOfObject | undefined): SourceOfCode | undefined {
  if (source === undefined) return undefined;
  return { rows: readLineRows(readObject(source.object, path)), functions: source.functions };
}

function describeUnit({ unit, change }: ComparedUnit, built: BuiltUnits): UnitChanges {
  const [before, after] = [unit.preSource, unit.postSource].map((source) => readSource(unit.path, source));
  return {
    path: unit.path,
    patched: [...unit.patched],
    functions: change.replaced.map((replaced) => ({
      name: replaced.post.name,
      why: replaced.why.map(words),
      code: findPatchedCode(built.changed, before, after, replaced).map((code) => ({
        file: words(code.file),
        function: code.function ?? null,
        isInlined: code.isInlined,
        removed: [...code.removed],
        added: [...code.added],
      })),
    })),
    newData: change.newData.map(data),
    copiedData: change.copiedData.map(({ post: part, why }) => ({ ...data(part), why: words(why) })),
    removedFunctions: change.removedFunctions.map(({ name }) => name),
    removedData: change.removedData.map(({ name }) => name),
    unchanged: change.unchanged,
    ...describeLines(after?.rows ?? new Map(), change),
  };
}

/** Which line of the patched source each piece of new code is from: the replacement object has no line table. */
function describeLines(rows: SourceOfCode['rows'], change: UnitChange): Pick<UnitChanges, 'files' | 'lines'> {
  const files = new Map<string, number>();
  const parts = [...change.replaced, ...change.newFunctions].flatMap((one) => [one.post, ...one.postCold]);
  const lines = parts.flatMap(({ name, section, offset, size }) => {
    const flat: number[] = [];
    let last = '';
    for (const row of rows.get(section) ?? []) {
      const place = `${row.file}:${row.line}`;
      if (row.to <= offset || row.from >= offset + size || place === last) continue;
      last = place;
      const file = files.get(row.file) ?? files.size;
      files.set(row.file, file);
      flat.push(Math.max(row.from - offset, 0), file, row.line);
    }
    return flat.length === 0 ? [] : [{ name, rows: flat }];
  });
  return { files: [...files.keys()].map(words), lines };
}
