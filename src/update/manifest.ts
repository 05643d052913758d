/**
 * manifest.json: what an update is, for which kernel, and what each of its members must be.
 *
 * Everything that `apply` decides from is here or in the objects; the objects are covered by their
 * SHA-256 in the manifest, the manifest by its own in the member behind it. Objects are strict: a field
 * that this version does not know is refused, since it may be the one that makes the update safe.
 *
 * There is one way to write a manifest (fields in the order below, two spaces, a newline at the end), and
 * only that way is read: JSON lets a field stand twice, and two readers may take different ones.
 *
 * Text is a line without control characters, so that a manifest cannot draw on the terminal of whoever
 * looks at it.
 */
import * as v from 'valibot';
import { HOOK_KINDS } from '../kernel/tables/hooks.ts';
import { areCveIdsNormal, isCveId } from './cve-ids.ts';
import { LIMITS } from './limits.ts';
import { malformedUpdate, quoted } from './malformed.ts';
import { MANIFEST_MEMBER } from './member-names.ts';
import { lineText, symbolName, treePath } from './schema.ts';
import { isUpdateId } from './update-id.ts';

const name = (most: number) => v.pipe(lineText(most), v.nonEmpty());
const unsigned32 = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const sectionOffset = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(LIMITS.member));
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'a SHA-256 of 64 hexadecimal digits'));

function isRising(names: readonly string[]): boolean {
  return names.every((each, index) => index === 0 || (names[index - 1] ?? '') < each);
}

const memberSchema = v.strictObject({
  file: v.pipe(v.string(), v.maxLength(100)),
  size: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(LIMITS.member)),
  sha256: digest,
});

const updateId = v.pipe(v.string(), v.check(isUpdateId, '1 to 32 of a-z, 0-9 and _'));

const kernelSchema = v.strictObject({
  release: name(64),
  version: v.nullable(name(128)),
  banner: v.nullable(name(512)),
  arch: v.literal('x86_64'),
  compiler: name(256),
  vermagic: name(256),
  moduleLayoutCrc: unsigned32,
});

/** A function that is replaced. */
const functionSchema = v.strictObject({
  /** Its replacement, in the replacement object. */
  name: symbolName,
  /** The old function, in the pre object; or, with an owner, in its replacement object. */
  preName: symbolName,
  /** The update below whose code is replaced. */
  owner: v.exactOptional(updateId),
  /** Where the jump goes: bytes from the start of the old function, and bytes of whole instructions. */
  site: v.strictObject({
    offset: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(64)),
    size: v.pipe(v.number(), v.integer(), v.minValue(5), v.maxValue(64)),
  }),
  /** Why no jump can be written there: only the kernel's livepatch can take such a function. */
  needsLivepatch: v.nullable(v.picklist(['jump-label', 'static-call', 'no-room'])),
});

/** What an undefined symbol of the replacement object stands for. */
const referenceSchema = v.strictObject({
  symbol: symbolName,
  /** `unit`: a static of this unit, to be found in the unit; `global`: by name anywhere. */
  scope: v.picklist(['unit', 'global']),
  preName: symbolName,
  /** The update below that brought it; `preName` is its name in that one's replacement object. */
  owner: v.exactOptional(updateId),
  kind: v.picklist(['function', 'object', 'unknown']),
  weak: v.boolean(),
  /** Where it lies in the sectioned build of the unit, if the unit defines it. */
  pre: v.nullable(v.strictObject({ section: symbolName, offset: sectionOffset, size: sectionOffset })),
});

const unitSchema = v.strictObject({
  path: treePath,
  source: treePath,
  target: name(64),
  pre: memberSchema,
  replacement: memberSchema,
  /** Replacement code that updates below have for this unit, from the lowest up; left out rather than empty. */
  on: v.exactOptional(
    v.pipe(v.array(v.strictObject({ id: updateId, replacement: memberSchema })), v.minLength(1)),
  ),
  functions: v.array(functionSchema),
  newFunctions: v.array(symbolName),
  /** New functions that the core calls when the update is applied or undone; left out rather than empty. */
  hooks: v.exactOptional(
    v.pipe(v.array(v.strictObject({ kind: v.picklist(HOOK_KINDS), name: symbolName })), v.minLength(1)),
  ),
  references: v.array(referenceSchema),
  escapes: v.strictObject({ escapes: v.boolean(), reasons: v.array(lineText(1024)) }),
});

/** A module as a whole, for machines on which it is not loaded. */
const moduleSchema = v.pipe(
  v.strictObject({
    /** As in /proc/modules; a target of the update. */
    name: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_]{1,55}$/, 'the name of a module')),
    /** Its file's name. */
    file: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,55}\.ko$/, 'the file name of a module')),
    /** What the kernel says of it when it is loaded. */
    srcversion: v.pipe(v.string(), v.regex(/^[0-9A-F]{24}$/, '24 hexadecimal digits')),
    object: memberSchema,
  }),
  v.check(
    ({ name, file }) => file.slice(0, -'.ko'.length).replaceAll('-', '_') === name,
    'a file that is named for its module',
  ),
);

const manifestFields = v.strictObject({
  format: v.literal(1),
  id: updateId,
  description: lineText(1024),
  /** What it fixes, where its author says so; left out rather than empty. */
  cves: v.exactOptional(
    v.pipe(
      v.array(v.pipe(v.string(), v.check(isCveId, 'CVE-YEAR-NUMBER'))),
      v.minLength(1),
      v.maxLength(LIMITS.cves),
      v.check((ids) => areCveIdsNormal(ids), 'CVE numbers in rising order, each once'),
    ),
  ),
  /** The updates that it is made on top of, from the lowest up, by the SHA-256 of their manifests. */
  on: v.exactOptional(
    v.pipe(
      v.array(v.strictObject({ id: updateId, digest })),
      v.minLength(1),
      v.maxLength(LIMITS.updatesBelow),
      v.check((below) => new Set(below.map(({ id }) => id)).size === below.length, 'each update once'),
    ),
  ),
  /** How the pre objects are matched, where not strictly. */
  matching: v.exactOptional(v.literal('tolerant')),
  kernel: kernelSchema,
  coreInterface: unsigned32,
  patches: v.pipe(
    v.array(
      v.strictObject({
        name: name(255),
        size: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(LIMITS.member)),
        sha256: digest,
      }),
    ),
    v.minLength(1),
  ),
  units: v.pipe(v.array(unitSchema), v.minLength(1), v.maxLength(LIMITS.units)),
  /** What was found when it was made; an update of a version that did not record it has none. */
  changes: v.exactOptional(memberSchema),
  /** Left out rather than empty. */
  modules: v.exactOptional(
    v.pipe(
      v.array(moduleSchema),
      v.minLength(1),
      v.maxLength(LIMITS.modules),
      v.check((modules) => isRising(modules.map((each) => each.name)), 'modules by name, each once'),
    ),
  ),
  core: memberSchema,
  stub: memberSchema,
  /** The stub for the kernel's own livepatch; left out for a kernel without it. */
  livepatch: v.exactOptional(memberSchema),
  createdBy: name(128),
});

/** Owners are updates that have replacement code for the unit, and these are updates that it is made on top of. */
function areOwnersBelow({ id, on = [], units }: v.InferOutput<typeof manifestFields>): boolean {
  const order = new Map(on.map((below, index) => [below.id, index]));
  return (
    !order.has(id) &&
    units.every(({ on: parts = [], functions, references }) => {
      const places = parts.map((part) => order.get(part.id) ?? -1);
      const rises = places.every((place, index) => place > (places[index - 1] ?? -1));
      const owners = [...functions, ...references].flatMap(({ owner }) =>
        owner === undefined ? [] : [owner],
      );
      return rises && owners.every((owner) => parts.some((part) => part.id === owner));
    })
  );
}

const manifestSchema = v.pipe(
  manifestFields,
  v.check(areOwnersBelow, 'units whose owners are among the updates below, in their order'),
);

export type Manifest = v.InferOutput<typeof manifestSchema>;
export type ManifestKernel = v.InferOutput<typeof kernelSchema>;
export type ManifestUnit = v.InferOutput<typeof unitSchema>;
export type ManifestModule = v.InferOutput<typeof moduleSchema>;
export type ManifestHook = NonNullable<ManifestUnit['hooks']>[number];
export type ManifestCodeBelow = NonNullable<ManifestUnit['on']>[number];
export type ManifestFunction = v.InferOutput<typeof functionSchema>;
export type ManifestReference = v.InferOutput<typeof referenceSchema>;
export type ManifestMember = v.InferOutput<typeof memberSchema>;

/** The bytes of manifest.json. Throws FormatError when what it is given is not a manifest. */
export function encodeManifest(manifest: Manifest, file: string): Uint8Array {
  return encode(validate(manifest, file));
}

/** Reads manifest.json in full, or throws FormatError naming the field, what it holds and what it must hold. */
export function parseManifest(bytes: Uint8Array, file: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw malformedUpdate(file, MANIFEST_MEMBER, quoted(found), 'JSON in UTF-8', { cause: error });
  }
  checkFormat(value, file);
  const manifest = validate(value, file);
  if (Buffer.compare(encode(manifest), bytes) !== 0) {
    throw malformedUpdate(
      file,
      MANIFEST_MEMBER,
      'another spelling of its contents',
      'each field once, in the order and layout of format 1',
    );
  }
  return manifest;
}

/** A later format has fields that this version cannot judge; say that, instead of the first of them. */
function checkFormat(value: unknown, file: string): void {
  if (typeof value === 'object' && value !== null && 'format' in value) {
    const { format } = value;
    if (typeof format === 'number' && format > 1) {
      throw malformedUpdate(file, `${MANIFEST_MEMBER}: format`, String(format), '1', {
        hint: 'use the version of ksplice that made this update',
      });
    }
  }
}

function validate(value: unknown, file: string): Manifest {
  const result = v.safeParse(manifestSchema, value, { abortEarly: true });
  if (result.success) {
    return result.output;
  }
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? '';
  const place = path === '' ? MANIFEST_MEMBER : `${MANIFEST_MEMBER}: ${path}`;
  if (issue.expected === 'never') {
    throw malformedUpdate(file, place, 'a field that format 1 does not have', 'none');
  }
  const found =
    issue.input === undefined ? 'nothing' : quoted(JSON.stringify(issue.input) ?? '').slice(1, -1);
  const isOwn = issue.type === 'check' || issue.type === 'regex';
  throw malformedUpdate(file, place, found, isOwn ? issue.message : (issue.expected ?? issue.message));
}

function encode(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
}
