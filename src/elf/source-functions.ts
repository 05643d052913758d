/**
 * Where the functions of a source are defined, from an object's debug information: those that were compiled, and those
 * that were inlined into them. A line of code belongs to the function that begins last before it, as C has no function
 * within another; the code of a macro has the line where it is used.
 */
import { type DebugEntry, readDebugEntries, TAG } from './debug-entries.ts';
import { sourceFiles } from './line-table.ts';
import type { ObjectFile } from './model.ts';

export interface SourceFunction {
  readonly name: string;
  /** `include/net/sock.h`. */
  readonly file: string;
  /** Of its name. */
  readonly line: number;
}

/** In no order; empty if the object has no debug information. Throws FormatError `malformed_object`. */
export function readSourceFunctions(
  object: ObjectFile,
  entries: readonly DebugEntry[] = readDebugEntries(object) ?? [],
): readonly SourceFunction[] {
  const files = sourceFiles(object);
  return entries.flatMap(({ tag, name, isDeclaration, file: number, line }) => {
    const file = number === undefined ? undefined : files[number];
    const isDefinition = tag === TAG.subprogram && !isDeclaration;
    return isDefinition && name !== undefined && file !== undefined && line !== undefined
      ? [{ name, file, line }]
      : [];
  });
}

/**
 * The functions that a line of code is part of: none if none begins before it, several where one macro makes them
 * (`SYSCALL_DEFINE`).
 */
export function functionsOfLine(
  functions: readonly SourceFunction[],
  file: string,
  line: number,
): readonly SourceFunction[] {
  let nearest: SourceFunction[] = [];
  for (const each of functions) {
    const start = nearest[0]?.line ?? 0;
    if (each.file !== file || each.line > line || each.line < start) continue;
    if (each.line === start) nearest.push(each);
    else nearest = [each];
  }
  return nearest;
}
