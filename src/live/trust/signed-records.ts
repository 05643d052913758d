/**
 * /var/lib/ksplice/signed.json: the signed updates that were applied to this machine, the latest of each ID and kernel, so
 * that none comes back that a later one has replaced. It outlives a reboot, which the updates themselves do not.
 *
 * For each kernel apart: the same fix for another kernel is another file, and may have been signed earlier.
 *
 * The next state is written before the kernel is touched, and takes the place of the old one when the update is
 * applied, by a rename: a disk that is full or read-only is noticed while there is nothing to take back.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { FormatError, MissingError } from '../../diagnostics/error.ts';
import type { KernelIdentity } from '../../update/kernel-identity.ts';
import { LIMITS } from '../../update/limits.ts';
import type { Update } from '../../update/update.ts';
import { syncToDisk } from '../sync-to-disk.ts';
import { checkTrustedDirectory, readTrustedFile } from './trusted-file.ts';

const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const recordSchema = v.strictObject({
  id: v.pipe(v.string(), v.regex(/^[a-z0-9_]{1,32}$/)),
  release: v.string(),
  banner: v.string(),
  serial: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(LIMITS.serial)),
  /** SHA-256 of the manifest. */
  digest,
  /** SHA-256 of the key that signed it. */
  key: digest,
});
const fileSchema = v.strictObject({ format: v.literal(1), updates: v.array(recordSchema) });

export type SignedRecord = Readonly<v.InferOutput<typeof recordSchema>>;

/** Bytes; a record has some 350. */
const MAX_FILE = 16 * 1024 * 1024;

/** Where the file lies; `root` is another directory than / in tests. */
export function signedRecordsPath(root = '/'): string {
  return path.join(root, 'var', 'lib', 'ksplice', 'signed.json');
}

/** Throws FormatError `malformed_policy`. */
export function parseSignedRecords(text: string, file: string): readonly SignedRecord[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const result = v.safeParse(fileSchema, value, { abortEarly: true });
  if (result.success) return result.output.updates;
  const place = v.getDotPath(result.issues[0]) ?? 'not JSON';
  throw new FormatError(
    'malformed_policy',
    `${file}: ${place}: not a list of signed updates, as ksplice writes it`,
    {
      hint: `without it the machine does not know which updates are old: look what happened to it, then rm ${file}`,
      details: { file, place },
    },
  );
}

/** All of them; none if there is no file. */
export function readSignedRecords(root: string): readonly SignedRecord[] {
  const file = signedRecordsPath(root);
  const text = readTrustedFile(root, file, MAX_FILE);
  return text === undefined ? [] : parseSignedRecords(text, file);
}

function isOf(record: SignedRecord, id: string, { release, banner }: KernelIdentity): boolean {
  return record.id === id && record.release === release && record.banner === banner;
}

/** The one of an ID on a kernel. */
export function recordOf(
  records: readonly SignedRecord[],
  id: string,
  identity: KernelIdentity,
): SignedRecord | undefined {
  return records.find((record) => isOf(record, id, identity));
}

/** A state that is written, and does not hold yet. */
export interface StagedRecords {
  /** It holds from now on, as a power failure leaves it, too. */
  readonly commit: () => void;
  readonly discard: () => void;
}

/**
 * Writes the state in which these updates are the latest of their IDs on this kernel. Their signatures must have been
 * verified. Throws MissingError if the directory cannot be written.
 */
export function stageSignedRecords(
  root: string,
  updates: readonly Pick<Update, 'id' | 'digest' | 'signature'>[],
  identity: KernelIdentity,
): StagedRecords {
  const { release, banner } = identity;
  const added = updates.flatMap(({ id, digest: manifest, signature }): readonly SignedRecord[] => {
    if (signature === undefined) return [];
    const { serial, key } = signature.statement;
    return [{ id, release, banner, serial, digest: manifest, key }];
  });
  const others = readSignedRecords(root).filter(
    (record) => !added.some(({ id }) => isOf(record, id, identity)),
  );
  const file = signedRecordsPath(root);
  const next = `${file}.new`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    checkTrustedDirectory(root, path.dirname(file));
    rmSync(next, { force: true });
    writeFileSync(next, `${JSON.stringify({ format: 1, updates: [...others, ...added] }, null, 2)}\n`, {
      mode: 0o600,
      flag: 'wx',
      flush: true,
    });
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new MissingError('missing_tool', `${next}: cannot be written (${cause.message})`, {
      hint: 'what was applied is remembered there, so that no older update comes back: make room, or mount it writable',
      cause,
    });
  }
  return {
    commit: () => {
      renameSync(next, file);
      syncToDisk(path.dirname(file));
    },
    discard: () => {
      rmSync(next, { force: true });
    },
  };
}
