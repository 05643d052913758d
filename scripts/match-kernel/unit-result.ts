/**
 * What is known of a unit before and after it is matched. Both go to a guest and come back as JSON, in which an
 * address is a text, `0xffffffff81000000`.
 */
import * as v from 'valibot';
import { hex } from '../../src/diagnostics/hex.ts';

export const compiledUnitSchema = v.object({
  /** `net/ipv4/tcp.o`. */
  path: v.string(),
  /** Units with the same text here lie one behind the other: those of a directory, or those of its library. */
  group: v.string(),
  /** `vmlinux`, or a module. */
  target: v.string(),
  /** Where the object lies. */
  file: v.string(),
});
export type CompiledUnit = v.InferOutput<typeof compiledUnitSchema>;

const addressSchema = v.pipe(
  v.string(),
  v.regex(/^0x[0-9a-f]+$/),
  v.transform((text) => BigInt(text)),
);

const matchedTextSchema = v.object({ section: v.string(), start: addressSchema, size: v.number() });

export const unitResultSchema = v.object({
  path: v.string(),
  group: v.string(),
  target: v.string(),
  /** `not compared`: the unit's module is not in this kernel. */
  outcome: v.picklist(['match', 'mismatch', 'not compared']),
  /** Why it does not match, or was not compared; empty for a match. */
  reason: v.string(),
  milliseconds: v.number(),
  /** Bytes of text compared. */
  bytes: v.number(),
  /** Places that differ from the object, by what the kernel has written there. */
  explained: v.record(v.string(), v.number()),
  text: v.array(matchedTextSchema),
  /** Functions of the unit whose name others in the kernel have too, and which were told apart. */
  toldApart: v.array(v.string()),
  /** Functions of the unit that have no place: all if it does not match, else such as are in the kernel many times. */
  unplaced: v.array(v.string()),
});
export type UnitResult = v.InferOutput<typeof unitResultSchema>;
export type MatchedText = UnitResult['text'][number];

const holeSchema = v.object({
  /** Undefined for bytes that belong to no symbol, and are no filling either. */
  name: v.optional(v.string()),
  start: addressSchema,
  reason: v.string(),
});

export const coverageSchema = v.object({
  /** Text symbols in the ranges, by address: aliases count once. */
  functions: v.number(),
  matched: v.number(),
  /** Bytes of the ranges, of the matched sections in them, and of filling between sections. */
  bytes: v.number(),
  matchedBytes: v.number(),
  fillBytes: v.number(),
  holes: v.array(holeSchema),
});
export type Coverage = v.InferOutput<typeof coverageSchema>;
export type Hole = Coverage['holes'][number];

export const matchRunSchema = v.object({
  /** `6.1.0-47-cloud-amd64`. */
  release: v.string(),
  units: v.array(unitResultSchema),
  coverage: coverageSchema,
  /** Looking names up and matching; without reading the objects. */
  milliseconds: v.number(),
});
/** All units, matched with one kernel. */
export type MatchRun = v.InferOutput<typeof matchRunSchema>;

/** The text that `matchRunSchema` reads. */
export function formatMatchRun(run: MatchRun): string {
  return JSON.stringify(run, (_, value: unknown) => (typeof value === 'bigint' ? hex(value) : value));
}
