/**
 * changes.json: what was found when the update was made, for whoever has to judge it. Nothing of it decides what `apply`
 * does, so that only `ksplice inspect` reads it; that the bytes are those that were written is checked with all others.
 *
 * As with the manifest there is one way to write it, here on one line, and a field that is not known is refused.
 */
import * as v from 'valibot';
import { malformedUpdate, quoted } from './malformed.ts';
import { CHANGES_MEMBER } from './member-names.ts';
import { lineText, symbolName, treePath } from './schema.ts';

const lineNumber = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const size = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER));
const words = lineText(4096);

/** A diagnostic of differencing that did not refuse the update, see docs/safety.md. */
const remarkSchema = v.strictObject({
  code: v.pipe(v.string(), v.regex(/^[a-z_]{1,64}$/, 'a code of a diagnostic')),
  severity: v.picklist(['warning', 'note']),
  message: words,
  hint: v.exactOptional(words),
});

/** Lines that the patch changes and that have code in a replaced function, by the function of the source. */
const codeSchema = v.strictObject({
  file: lineText(1024),
  function: v.nullable(symbolName),
  /** Another function than the replaced one, inlined into it. */
  isInlined: v.boolean(),
  /** Lines of the original that went, and that came; numbers as the unit was compiled with. */
  removed: v.array(lineNumber),
  added: v.array(lineNumber),
});

const functionSchema = v.strictObject({
  /** Name in the replacement object. */
  name: symbolName,
  /** What differs, in words; the first difference of each part. */
  why: v.pipe(v.array(words), v.minLength(1)),
  code: v.array(codeSchema),
});

const dataSchema = v.strictObject({ name: symbolName, size, section: symbolName });

const linesSchema = v.strictObject({
  /** A function of the replacement object, or its cold part. */
  name: symbolName,
  /** Offset in the function, position in `files`, line; three numbers a row, by rising offset. */
  rows: v.pipe(
    v.array(lineNumber),
    v.check((rows) => rows.length % 3 === 0, 'three numbers a row'),
  ),
});

const unitSchema = v.strictObject({
  path: treePath,
  /** Files that the patch changes and that are part of the unit. */
  patched: v.array(lineText(1024)),
  functions: v.array(functionSchema),
  newData: v.array(dataSchema),
  /** Constant tables that differ: the functions that use them get a copy. */
  copiedData: v.array(v.strictObject({ ...dataSchema.entries, why: words })),
  removedFunctions: v.array(symbolName),
  removedData: v.array(symbolName),
  /** How many functions are the same before and after. */
  unchanged: size,
  files: v.array(lineText(1024)),
  lines: v.array(linesSchema),
});

const changesSchema = v.strictObject({
  format: v.literal(1),
  /** What the build passed over, and what else its author was told. */
  notes: v.array(words),
  remarks: v.array(remarkSchema),
  /** Units that were compiled before and after, and whose code is the same. */
  same: v.array(treePath),
  /** Those of the manifest, in its order. */
  units: v.array(unitSchema),
});

export type UpdateChanges = v.InferOutput<typeof changesSchema>;
export type UnitChanges = v.InferOutput<typeof unitSchema>;
export type FunctionChanges = v.InferOutput<typeof functionSchema>;
export type PatchedLines = v.InferOutput<typeof codeSchema>;
export type Remark = v.InferOutput<typeof remarkSchema>;

/** The bytes of changes.json. Throws FormatError when what it is given is none. */
export function encodeChanges(changes: UpdateChanges, file: string): Uint8Array {
  return encode(validate(changes, file));
}

/**
 * Reads changes.json in full. Throws FormatError naming the field, what it holds and what it must hold.
 * @param units paths of the manifest's units
 */
export function parseUpdateChanges(bytes: Uint8Array, units: readonly string[], file: string): UpdateChanges {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw malformedUpdate(file, CHANGES_MEMBER, quoted(found), 'JSON in UTF-8', { cause: error });
  }
  const changes = validate(value, file);
  if (Buffer.compare(encode(changes), bytes) !== 0) {
    throw malformedUpdate(
      file,
      CHANGES_MEMBER,
      'another spelling of its contents',
      'each field once, in order',
    );
  }
  const found = changes.units.map(({ path }) => path);
  if (found.join() !== units.join()) {
    throw malformedUpdate(file, `${CHANGES_MEMBER}: units`, quoted(found.join()), quoted(units.join()));
  }
  return changes;
}

function validate(value: unknown, file: string): UpdateChanges {
  const result = v.safeParse(changesSchema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? '';
  const place = path === '' ? CHANGES_MEMBER : `${CHANGES_MEMBER}: ${path}`;
  if (issue.expected === 'never') throw malformedUpdate(file, place, 'a field that is not known', 'none');
  const found =
    issue.input === undefined ? 'nothing' : quoted(JSON.stringify(issue.input) ?? '').slice(1, -1);
  const isOwn = issue.type === 'check' || issue.type === 'regex';
  throw malformedUpdate(file, place, found, isOwn ? issue.message : (issue.expected ?? issue.message));
}

function encode(changes: UpdateChanges): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(changes)}\n`);
}
