import { InternalError } from '../diagnostics/error.ts';
import { LIMITS } from './limits.ts';
import {
  encodeManifest,
  type Manifest,
  type ManifestCodeBelow,
  type ManifestMember,
  type ManifestModule,
} from './manifest.ts';
import {
  belowMember,
  CHANGES_MEMBER,
  CORE_MEMBER,
  DIGEST_MEMBER,
  LIVEPATCH_MEMBER,
  MANIFEST_MEMBER,
  moduleMember,
  PATCH_MEMBER,
  preMember,
  replacementMember,
  STUB_MEMBER,
} from './member-names.ts';
import { sha256 } from './sha256.ts';
import { packMembers } from './tar-members.ts';
import type { CodeBelow, UpdateContents, UpdateModule } from './update.ts';

interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * The bytes of an update file. The same contents give the same bytes: nothing of the time, the user or the
 * machine goes in.
 */
export async function writeUpdate(contents: UpdateContents): Promise<Uint8Array> {
  const file = `${contents.id}.ksplice`;
  const manifest = encodeManifest(describe(contents), file);
  const members: readonly Member[] = [
    { name: MANIFEST_MEMBER, bytes: manifest },
    { name: DIGEST_MEMBER, bytes: digestLine(manifest) },
    { name: PATCH_MEMBER, bytes: Buffer.concat(contents.patches.map(({ bytes }) => bytes)) },
    ...(contents.changes === undefined ? [] : [{ name: CHANGES_MEMBER, bytes: contents.changes }]),
    { name: CORE_MEMBER, bytes: contents.core },
    { name: STUB_MEMBER, bytes: contents.stub },
    ...(contents.livepatch === undefined ? [] : [{ name: LIVEPATCH_MEMBER, bytes: contents.livepatch }]),
    ...contents.units.flatMap(({ pre, replacement, on }, index) => [
      { name: preMember(index), bytes: pre },
      { name: replacementMember(index), bytes: replacement },
      ...on.map((below, number) => ({ name: belowMember(index, number), bytes: below.replacement })),
    ]),
    ...contents.modules.map(({ bytes }, index) => ({ name: moduleMember(index), bytes })),
  ];
  const bytes = await packMembers(members);
  if (bytes.length > LIMITS.file) {
    throw new InternalError(
      'unexpected',
      `${file}: ${bytes.length} bytes, at most ${LIMITS.file} can be read`,
    );
  }
  return bytes;
}

/** The line of manifest.sha256, in the format that `sha256sum -c` checks. */
export function digestLine(manifest: Uint8Array): Uint8Array {
  return new TextEncoder().encode(`${sha256(manifest)}  ${MANIFEST_MEMBER}\n`);
}

function describe(contents: UpdateContents): Manifest {
  return {
    format: 1,
    id: contents.id,
    description: contents.description,
    ...(contents.cves.length === 0 ? {} : { cves: [...contents.cves] }),
    ...(contents.on.length === 0 ? {} : { on: contents.on.map(({ id, digest }) => ({ id, digest })) }),
    ...(contents.matching === 'strict' ? {} : { matching: contents.matching }),
    kernel: contents.kernel,
    coreInterface: contents.coreInterface,
    patches: contents.patches.map(({ name, bytes }) => ({ name, size: bytes.length, sha256: sha256(bytes) })),
    units: contents.units.map(({ pre, replacement, hooks, on, ...unit }, index) => ({
      ...unit,
      ...(hooks.length === 0 ? {} : { hooks: [...hooks] }),
      pre: describeMember(preMember(index), pre),
      replacement: describeMember(replacementMember(index), replacement),
      ...(on.length === 0 ? {} : { on: on.map((below, number) => describeBelow(below, index, number)) }),
    })),
    ...(contents.changes === undefined ? {} : { changes: describeMember(CHANGES_MEMBER, contents.changes) }),
    ...(contents.modules.length === 0 ? {} : { modules: contents.modules.map(describeModule) }),
    core: describeMember(CORE_MEMBER, contents.core),
    stub: describeMember(STUB_MEMBER, contents.stub),
    ...(contents.livepatch === undefined
      ? {}
      : { livepatch: describeMember(LIVEPATCH_MEMBER, contents.livepatch) }),
    createdBy: contents.createdBy,
  };
}

function describeBelow({ id, replacement }: CodeBelow, unit: number, number: number): ManifestCodeBelow {
  return { id, replacement: describeMember(belowMember(unit, number), replacement) };
}

function describeModule({ bytes, ...module }: UpdateModule, index: number): ManifestModule {
  return { ...module, object: describeMember(moduleMember(index), bytes) };
}

function describeMember(file: string, bytes: Uint8Array): ManifestMember {
  return { file, size: bytes.length, sha256: sha256(bytes) };
}
