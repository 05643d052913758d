/**
 * /var/lib/ksplice/boot.json: the crash guard's memory.
 *
 * An update that makes the machine fall down soon after it was applied would do so at every boot, and nobody could get at the machine to stop
 * that. So before installed updates are applied, a boot is noted as `trying` with what it is about to apply, and is brought to the disk. It
 * becomes `good` when the machine has run for a while, `stopped` when it shuts down in order before that. A boot that finds another one still
 * `trying` knows that that one ended otherwise: what it had applied is held back on that kernel from then on.
 *
 * Boots are told apart by the kernel's boot ID, which a resume from hibernation keeps: it goes on as the boot that it was.
 */
import path from 'node:path';
import * as v from 'valibot';
import { FormatError } from '../../diagnostics/error.ts';
import type { KernelIdentity } from '../../update/kernel-identity.ts';
import { BOOT_RECORD } from '../paths.ts';
import { readTrustedFile } from '../trust/trusted-file.ts';
import { writeDurably } from './durable.ts';

const line = v.pipe(v.string(), v.maxLength(512));
const updateSchema = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z0-9_]{1,32}$/)),
  /** SHA-256 of the manifest. */
  digest: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});
const setSchema = v.strictObject({
  release: line,
  banner: line,
  updates: v.array(updateSchema),
  at: v.string(),
});
const fileSchema = v.strictObject({
  format: v.literal(1),
  /** The last boot in which installed updates were applied; null if there was none. */
  last: v.nullable(
    v.strictObject({ boot: line, state: v.picklist(['trying', 'good', 'stopped']), set: setSchema }),
  ),
  /** What machines did not survive. */
  held: v.array(setSchema),
});

export type BootRecord = Readonly<v.InferOutput<typeof fileSchema>>;
/** Updates that were applied together, on which kernel, and when. */
export type BootSet = Readonly<v.InferOutput<typeof setSchema>>;
type Identified = Readonly<v.InferOutput<typeof updateSchema>>;

const MAX_FILE = 1024 * 1024;
const EMPTY: BootRecord = { format: 1, last: null, held: [] };

function fileOf(root: string): string {
  return path.join(root, BOOT_RECORD);
}

/** Throws FormatError `malformed_policy`, RefusedError `unsafe_file`. */
export function readBootRecord(root: string): BootRecord {
  const file = fileOf(root);
  const text = readTrustedFile(root, file, MAX_FILE);
  if (text === undefined) return EMPTY;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const result = v.safeParse(fileSchema, value);
  if (result.success) return result.output;
  throw new FormatError('malformed_policy', `${file}: not a record of boots, as ksplice writes it`, {
    hint: 'without it nobody knows whether the last boot went well: look what happened to it, then ksplice boot retry',
    details: { file },
  });
}

/** On the disk when this returns. */
export function writeBootRecord(root: string, record: BootRecord): void {
  writeDurably(root, fileOf(root), `${JSON.stringify(record, null, 2)}\n`);
}

function isSameKernel(a: KernelIdentity, b: KernelIdentity): boolean {
  return a.release === b.release && a.banner === b.banner;
}

/** What the record says when the boot `boot` begins: a boot before it that was left trying has crashed. */
export function withCrash(record: BootRecord, boot: string): BootRecord {
  const { last, held } = record;
  if (last === null || last.boot === boot || last.state !== 'trying') return record;
  return { ...record, last: null, held: [...held, last.set] };
}

/**
 * The set that holds back `updates` on this kernel: all of it is among them. With less of it, or with another update in the place of one, it is
 * another thing that is tried. Undefined if there is none.
 */
export function heldBy(
  { held }: BootRecord,
  kernel: KernelIdentity,
  updates: readonly Identified[],
): BootSet | undefined {
  const digests = new Set(updates.map(({ id, digest }) => `${id} ${digest}`));
  return held.findLast(
    (set) =>
      set.updates.length > 0 &&
      isSameKernel(set, kernel) &&
      set.updates.every(({ id, digest }) => digests.has(`${id} ${digest}`)),
  );
}

/** Nothing is held back on this kernel any more. */
export function withoutHeld(record: BootRecord, kernel: KernelIdentity): BootRecord {
  return { ...record, held: record.held.filter((set) => !isSameKernel(set, kernel)) };
}

/** This boot is about to apply `updates`; those that it applied before still count. */
export function withTrying(
  record: BootRecord,
  boot: string,
  { release, banner }: KernelIdentity,
  updates: readonly Identified[],
  now: Date,
): BootRecord {
  const before = record.last?.boot === boot ? record.last.set.updates : [];
  const others = before.filter(({ id }) => !updates.some((each) => each.id === id));
  const added = updates.map(({ id, digest }) => ({ id, digest }));
  const set = { release, banner, updates: [...others, ...added], at: now.toISOString() };
  return { ...record, last: { boot, state: 'trying', set } };
}

/** The boot `boot`, if it is trying, comes to an end that is no crash. Undefined if there is nothing to change. */
export function withEnd(record: BootRecord, boot: string, state: 'good' | 'stopped'): BootRecord | undefined {
  const { last } = record;
  if (last === null || last.boot !== boot || last.state !== 'trying') return undefined;
  return { ...record, last: { ...last, state } };
}
