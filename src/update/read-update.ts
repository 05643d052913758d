/**
 * Reads an update file, all of it, before anything of it is used.
 *
 * Its parts vouch for each other in a chain: manifest.sha256 for the manifest, the manifest for every object
 * and patch, by size and SHA-256. Last, the members are packed again and must give the file, byte for byte, so
 * nothing in it is left unread. This says that the file is whole. Who made it, a signature says, if there is one: that it
 * is for this manifest is seen here, whether it is good and whose it is, by who knows keys.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { UsageError } from '../diagnostics/error.ts';
import { LIMITS } from './limits.ts';
import { malformedUpdate, quoted } from './malformed.ts';
import { type Manifest, type ManifestMember, parseManifest } from './manifest.ts';
import {
  belowMember,
  CHANGES_MEMBER,
  CORE_MEMBER,
  DIGEST_MEMBER,
  LIVEPATCH_MEMBER,
  MANIFEST_MEMBER,
  memberNames,
  moduleMember,
  PATCH_MEMBER,
  preMember,
  replacementMember,
  SIGNATURE_MEMBER,
  STUB_MEMBER,
} from './member-names.ts';
import { sha256 } from './sha256.ts';
import { parseSignature, type UpdateSignature } from './signature.ts';
import { readMembers, type TarMember } from './tar-members.ts';
import type { Update, UpdateContents, UpdatePatch } from './update.ts';
import { digestLine } from './write-update.ts';

/** Throws FormatError `malformed_update`; `file` is what errors call it. */
export function readUpdate(bytes: Uint8Array, file: string): Update {
  const members = readMembers(bytes, file);
  const archive = new Map(members.map((member) => [member.name, member.bytes]));
  const manifestBytes = take(archive, MANIFEST_MEMBER, file);
  checkDigestLine(manifestBytes, take(archive, DIGEST_MEMBER, file), file);
  const manifest = parseManifest(manifestBytes, file);
  checkMemberNames(members, manifest, file);
  checkModules(manifest, file);

  const object = (expected: ManifestMember, name: string): Uint8Array => {
    if (expected.file !== name) {
      throw malformedUpdate(file, MANIFEST_MEMBER, `file ${quoted(expected.file)}`, quoted(name));
    }
    const contents = take(archive, name, file);
    checkContents(contents, expected, name, file);
    return contents;
  };
  const contents: UpdateContents = {
    id: manifest.id,
    description: manifest.description,
    cves: manifest.cves ?? [],
    on: manifest.on ?? [],
    matching: manifest.matching ?? 'strict',
    kernel: manifest.kernel,
    coreInterface: manifest.coreInterface,
    patches: splitPatches(take(archive, PATCH_MEMBER, file), manifest, file),
    units: manifest.units.map((unit, index) => ({
      ...unit,
      hooks: unit.hooks ?? [],
      pre: object(unit.pre, preMember(index)),
      replacement: object(unit.replacement, replacementMember(index)),
      on: (unit.on ?? []).map(({ id, replacement }, below) => ({
        id,
        replacement: object(replacement, belowMember(index, below)),
      })),
    })),
    modules: (manifest.modules ?? []).map(({ object: member, ...module }, index) => ({
      ...module,
      bytes: object(member, moduleMember(index)),
    })),
    changes: manifest.changes === undefined ? undefined : object(manifest.changes, CHANGES_MEMBER),
    core: object(manifest.core, CORE_MEMBER),
    stub: object(manifest.stub, STUB_MEMBER),
    livepatch: manifest.livepatch === undefined ? undefined : object(manifest.livepatch, LIVEPATCH_MEMBER),
    createdBy: manifest.createdBy,
  };
  const digest = sha256(manifestBytes);
  return { ...contents, manifest, digest, signature: readSignature(archive, manifest, digest, file) };
}

/** The signature, whose statement must be about this manifest. */
function readSignature(
  archive: ReadonlyMap<string, Uint8Array>,
  manifest: Manifest,
  digest: string,
  file: string,
): UpdateSignature | undefined {
  const bytes = archive.get(SIGNATURE_MEMBER);
  if (bytes === undefined) return undefined;
  const signature = parseSignature(bytes, file);
  const { statement } = signature;
  const pairs = [
    ['manifest', statement.manifest, digest],
    ['id', statement.id, manifest.id],
    ['kernel', statement.kernel, manifest.kernel.release],
  ] as const;
  for (const [what, found, expected] of pairs) {
    if (found === expected) continue;
    throw malformedUpdate(
      file,
      `${SIGNATURE_MEMBER}: ${what}`,
      quoted(found),
      `${quoted(expected)} as the file has it`,
      { hint: 'the signature is that of another file, or this one was altered: get it again' },
    );
  }
  return signature;
}

/**
 * Reads the update file at a path. Throws UsageError when there is no such file, FormatError when it is not
 * an update. The size is looked at before anything is read, and only regular files are.
 */
export function readUpdateFile(path: string): Update {
  return readUpdate(readUpdateBytes(path), path);
}

function openFile(path: string): number {
  try {
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new UsageError('usage', `${path}: cannot be read (${reason})`, {
      hint: 'give the path of an update file, as `ksplice create` wrote it',
      cause: error,
    });
  }
}

/** The bytes of the file at a path, not looked at yet. Throws as `readUpdateFile` does of what is no file for it. */
export function readUpdateBytes(path: string): Uint8Array {
  const fd = openFile(path);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) {
      throw malformedUpdate(path, 'file', 'no regular file', 'an update file');
    }
    if (status.size > LIMITS.file) {
      throw malformedUpdate(path, 'file', `${status.size} bytes`, `at most ${LIMITS.file}`);
    }
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function take(archive: ReadonlyMap<string, Uint8Array>, name: string, file: string): Uint8Array {
  const bytes = archive.get(name);
  if (bytes === undefined) {
    throw malformedUpdate(file, name, 'no such member', 'one');
  }
  return bytes;
}

function checkDigestLine(manifest: Uint8Array, found: Uint8Array, file: string): void {
  const expected = digestLine(manifest);
  if (Buffer.compare(found, expected) !== 0) {
    const line = Buffer.from(found.subarray(0, 128)).toString('latin1');
    throw malformedUpdate(
      file,
      DIGEST_MEMBER,
      quoted(line),
      quoted(Buffer.from(expected).toString('latin1')),
      { hint: `${MANIFEST_MEMBER} or its SHA-256 was altered: get the file again` },
    );
  }
}

/** Exactly the members that the manifest stands for, in their order; behind them there may be a signature. */
function checkMemberNames(members: readonly TarMember[], manifest: Manifest, file: string): void {
  const isSigned = members.some(({ name }) => name === SIGNATURE_MEMBER);
  const named = memberNames({
    hasChanges: manifest.changes !== undefined,
    hasLivepatch: manifest.livepatch !== undefined,
    units: manifest.units.map(({ on = [] }) => on.length),
    modules: manifest.modules?.length ?? 0,
  });
  const expected = [...named, ...(isSigned ? [SIGNATURE_MEMBER] : [])];
  const length = Math.max(members.length, expected.length);
  for (let index = 0; index < length; index += 1) {
    const found = members[index]?.name ?? 'no member';
    const wanted = expected[index] ?? 'none';
    if (found !== wanted) {
      throw malformedUpdate(file, `member ${index + 1}`, found, wanted);
    }
  }
}

/** A module that the update does not change has no place in it. */
function checkModules({ modules = [], units }: Manifest, file: string): void {
  const targets = new Set(units.map(({ target }) => target));
  const [stranger] = modules.filter(({ name }) => !targets.has(name));
  if (stranger === undefined) return;
  throw malformedUpdate(
    file,
    MANIFEST_MEMBER,
    `module ${quoted(stranger.name)}`,
    'a target of one of the units',
  );
}

function checkContents(
  bytes: Uint8Array,
  expected: Pick<ManifestMember, 'size' | 'sha256'>,
  name: string,
  file: string,
): void {
  if (bytes.length !== expected.size) {
    throw malformedUpdate(file, name, `${bytes.length} bytes`, `${expected.size} as the manifest says`);
  }
  const found = sha256(bytes);
  if (found !== expected.sha256) {
    throw malformedUpdate(file, name, `SHA-256 ${found}`, `${expected.sha256} as the manifest says`, {
      hint: 'the file was altered: get it again',
    });
  }
}

/** The patches lie in one member, one behind the other. */
function splitPatches(bytes: Uint8Array, manifest: Manifest, file: string): readonly UpdatePatch[] {
  const total = manifest.patches.reduce((sum, { size }) => sum + size, 0);
  if (bytes.length !== total) {
    throw malformedUpdate(file, PATCH_MEMBER, `${bytes.length} bytes`, `${total} as the manifest says`);
  }
  let offset = 0;
  return manifest.patches.map((patch) => {
    const part = bytes.subarray(offset, offset + patch.size);
    offset += patch.size;
    checkContents(part, patch, `${PATCH_MEMBER}: ${patch.name}`, file);
    return { name: patch.name, bytes: part };
  });
}
