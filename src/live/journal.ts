/**
 * What is known of an update on this machine, outside the kernel: /run/ksplice/ID, with
 *
 *     manifest.json   as in the update file; its SHA-256 identifies the update
 *     patches/N       the patch texts, in the manifest's order
 *     signature       as in the update file, where it has one
 *     skipped         targets that are not updated in memory, one a line
 *     engine          `livepatch`, where that switches it, and not the core
 *     journal         one line an event: ISO time, words
 *
 * An update that came as a module of its own (`ksplice link`) has none of this, but its manifest and signature in a note of
 * that module; they are read from there for as long as it is loaded.
 *
 * Written before the kernel is touched, so that whoever comes after a run that was killed finds which
 * update an entry of the core belongs to. The stage itself is never stored here: only the core knows.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { encodeManifest, type Manifest, parseManifest } from '../update/manifest.ts';
import { NOTE_SECTION, parseModuleNote } from '../update/module-note.ts';
import { sha256 } from '../update/sha256.ts';
import { encodeSignature, parseSignature, type UpdateSignature } from '../update/signature.ts';
import type { Update } from '../update/update.ts';
import { updateModule } from '../update/update-id.ts';
import type { Engine } from './engine.ts';
import { RUN_ROOT } from './paths.ts';

export interface UpdateRecord {
  /** As in the update file; undefined if it had none. */
  readonly signature: UpdateSignature | undefined;
  /** SHA-256 of the manifest: two updates are the same exactly when it is equal. */
  readonly digest: string;
  readonly manifest: Manifest;
  readonly patches: readonly { readonly name: string; readonly text: string }[];
  /** Names of modules that are not updated in memory. */
  readonly skipped: readonly string[];
  readonly engine: Engine;
}

/** Those of its units that are updated in memory. */
export function unitsInMemory({ manifest, skipped }: UpdateRecord): Manifest['units'] {
  return manifest.units.filter(({ target }) => !skipped.includes(target));
}

function directoryOf(id: string): string {
  return path.join(RUN_ROOT, id);
}

export function writeRecord(update: Update, skipped: readonly string[] = [], engine: Engine = 'jump'): void {
  const directory = directoryOf(update.id);
  mkdirSync(path.join(directory, 'patches'), { recursive: true, mode: 0o700 });
  update.patches.forEach(({ bytes }, number) => {
    writeFileSync(path.join(directory, 'patches', String(number)), bytes, { mode: 0o600 });
  });
  const signature = path.join(directory, 'signature');
  rmSync(signature, { force: true });
  if (update.signature !== undefined) {
    writeFileSync(signature, encodeSignature(update.signature), { mode: 0o600 });
  }
  writeFileSync(path.join(directory, 'skipped'), skipped.map((name) => `${name}\n`).join(''), {
    mode: 0o600,
  });
  writeFileSync(path.join(directory, 'engine'), `${engine}\n`, { mode: 0o600 });
  const manifest = path.join(directory, 'manifest.json');
  writeFileSync(manifest, encodeManifest(update.manifest, manifest), { mode: 0o600 });
}

/** What the module of an update that was linked at rest says of it; undefined if none is loaded. */
function recordOfModule(id: string): UpdateRecord | undefined {
  const file = path.join('/sys/module', updateModule(id), 'notes', NOTE_SECTION);
  if (!existsSync(file)) return undefined;
  try {
    const { manifest: bytes, signature } = parseModuleNote(readFileSync(file), file);
    const manifest = parseManifest(bytes, file);
    if (manifest.id !== id) return undefined;
    return {
      digest: sha256(bytes),
      manifest,
      patches: [],
      signature: signature === undefined ? undefined : parseSignature(signature, file),
      skipped: [],
      engine: 'livepatch',
    };
  } catch {
    return undefined;
  }
}

/** Undefined if there is none, or a run was killed while it was being written. */
export function readRecord(id: string): UpdateRecord | undefined {
  const ofModule = recordOfModule(id);
  if (ofModule !== undefined) return ofModule;
  const directory = directoryOf(id);
  const file = path.join(directory, 'manifest.json');
  try {
    const bytes = readFileSync(file);
    const manifest = parseManifest(bytes, file);
    const patches = manifest.patches.map(({ name }, number) => ({
      name,
      text: readFileSync(path.join(directory, 'patches', String(number)), 'utf8'),
    }));
    const signed = path.join(directory, 'signature');
    const signature = existsSync(signed) ? parseSignature(readFileSync(signed), signed) : undefined;
    const engine = readFileSync(path.join(directory, 'engine'), 'latin1').trim();
    const names = readFileSync(path.join(directory, 'skipped'), 'latin1').split('\n');
    return {
      digest: sha256(bytes),
      manifest,
      patches,
      signature,
      skipped: names.filter((name) => name !== ''),
      engine: engine === 'livepatch' ? 'livepatch' : 'jump',
    };
  } catch {
    return undefined;
  }
}

/** Written at once, and never buffered: the journal is read when a run did not come to its end. */
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

/** Whether something was begun, and none of the events that end it came after that. */
export function wasLeftOpen(id: string, begin: string, ends: readonly string[]): boolean {
  let text: string;
  try {
    text = readFileSync(path.join(directoryOf(id), 'journal'), 'utf8');
  } catch {
    return false;
  }
  const events = text.split('\n').map((line) => line.slice(line.indexOf(' ') + 1));
  return events.lastIndexOf(begin) > Math.max(...ends.map((end) => events.lastIndexOf(end)));
}

export function removeRecord(id: string): void {
  rmSync(directoryOf(id), { recursive: true, force: true });
}
