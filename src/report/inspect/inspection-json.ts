/** An inspection as a program reads it: bytes and addresses as hexadecimal text. */
import { hex, hexBytes } from '../../diagnostics/hex.ts';
import type { CodeLine } from './code-line.ts';
import type { CodeRow } from './compare-code.ts';
import type { InspectedCode, Inspection } from './inspection.ts';
import type { RunFunction } from './run-code.ts';

function line(one: CodeLine | undefined): unknown {
  if (one === undefined) return null;
  const { offset, bytes, text, source } = one;
  return {
    offset,
    bytes: hexBytes(bytes),
    text,
    source: source === undefined ? null : { file: source.file, line: source.line },
  };
}

const row = ({ mark, pre, post }: CodeRow): unknown => ({ mark, pre: line(pre), post: line(post) });

const code = (parts: readonly InspectedCode[]): unknown =>
  parts.map(({ name, rows }) => ({ name, rows: rows.map(row) }));

const run = (one: RunFunction | null): unknown =>
  one === null
    ? null
    : {
        address: hex(one.address),
        instructions: one.instructions.map((each) => ({ ...each, bytes: hexBytes(each.bytes) })),
      };

export function inspectionJson(inspection: Inspection): unknown {
  return {
    ...inspection,
    units: inspection.units.map((unit) => ({
      ...unit,
      functions: unit.functions.map((one) => ({ ...one, code: code(one.code), run: run(one.run) })),
      newFunctions: unit.newFunctions.map((one) => ({ ...one, code: code(one.code) })),
    })),
  };
}
