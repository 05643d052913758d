/**
 * What is known of an update on this machine, outside the kernel: /run/ksplice/ID.
 *
 * Written before the kernel is touched, so that whoever comes after a run that was killed finds which
 * update an entry of the core belongs to. The stage itself is never stored here: only the core knows.
 */
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Manifest } from '../update/manifest.ts';
import type { Update } from '../update/update.ts';
import { RUN_ROOT } from './paths.ts';

export interface UpdateRecord {
  readonly digest: string;
  readonly manifest: Manifest;
  readonly patches: readonly { readonly name: string; readonly text: string }[];
}

function directoryOf(id: string): string {
  return path.join(RUN_ROOT, id);
}

export function writeRecord(update: Update): void {
  const directory = directoryOf(update.id);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const record: UpdateRecord = {
    digest: update.digest,
    manifest: update.manifest,
    patches: update.patches.map(({ name, bytes }) => ({ name, text: Buffer.from(bytes).toString('utf8') })),
  };
  writeFileSync(path.join(directory, 'update.json'), JSON.stringify(record), { mode: 0o600 });
}

export function readRecord(id: string): UpdateRecord | undefined {
  try {
    return JSON.parse(readFileSync(path.join(directoryOf(id), 'update.json'), 'utf8')) as UpdateRecord;
  } catch {
    return undefined;
  }
}

/** One line an event: ISO time, then words. Written at once, and never buffered. */
export function note(id: string, event: string): void {
  mkdirSync(directoryOf(id), { recursive: true, mode: 0o700 });
  appendFileSync(path.join(directoryOf(id), 'journal'), `${new Date().toISOString()} ${event}\n`, {
    mode: 0o600,
  });
}

/** Time of the last event of this kind. */
export function lastEvent(id: string, event: string): Date | undefined {
  let text: string;
  try {
    text = readFileSync(path.join(directoryOf(id), 'journal'), 'utf8');
  } catch {
    return undefined;
  }
  const line = text.split('\n').findLast((each) => each.endsWith(` ${event}`));
  return line === undefined ? undefined : new Date(line.slice(0, line.indexOf(' ')));
}

export function removeRecord(id: string): void {
  rmSync(directoryOf(id), { recursive: true, force: true });
}
