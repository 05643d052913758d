/**
 * Gives damaged updates to the reader of updates, and damaged files of /etc/ksplice and /var/lib/ksplice to theirs.
 *
 *     npx tsx test/fuzz/update-reader.ts [--inputs N] [--seed N] [--target NAME]...
 *     KSPLICE_FUZZ_UPDATE=FILE.ksplice ...      that update as a sound one, too
 *
 * An update vouches for itself by its digests, so damage to any byte is noticed there, and nothing behind is reached.
 * The other targets damage one part and make right again what vouches for it: as somebody would who means it.
 *
 * Beside what every reader must do: what is accepted is spelled as it would be written, and no damaged statement is one
 * that the key has signed.
 */

import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeObject } from '../../src/elf/write-object.ts';
import { readObjects } from '../../src/link/update-objects.ts';
import { parsePolicy } from '../../src/live/trust/policy.ts';
import { parseSignedRecords } from '../../src/live/trust/signed-records.ts';
import { parseRevoked } from '../../src/live/trust/trust.ts';
import { readUpdate } from '../../src/update/read-update.ts';
import { sha256 } from '../../src/update/sha256.ts';
import { signUpdate } from '../../src/update/sign-update.ts';
import { isSignedBy } from '../../src/update/signature.ts';
import { parsePublicKey, publicHalf } from '../../src/update/signing-keys.ts';
import { packMembers, readMembers } from '../../src/update/tar-members.ts';
import type { Update } from '../../src/update/update.ts';
import { digestLine, writeUpdate } from '../../src/update/write-update.ts';
import { buildImage } from '../support/elf-builder.ts';
import { sampleUpdate } from '../support/sample-update.ts';
import { type FuzzOptions, type FuzzResult, fuzz, runFuzzer, type Target } from './fuzz-readers.ts';
import { mutate } from './random.ts';

type Random = (limit: number) => number;
interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** RFC 8410, 10.3. */
const KEY = createPrivateKey(
  '-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n',
);
const PUBLIC = publicHalf(KEY);
const BLOCK = 512;

/** A unit of two functions, one of which calls the other and reads a variable. */
function object(): Uint8Array {
  return writeObject(
    buildImage({
      sections: {
        '.text': {
          bytes: new Uint8Array(48).fill(0x90),
          alignment: 16,
          relocations: [
            [1, 'PLT32', 'callee', -4],
            [8, 'PC32', '.rodata', 0],
            [16, '32S', 'variable', 4],
            [24, '64', 'outside', 0],
          ],
        },
        '.rodata': { bytes: Buffer.from('constants') },
        '.data': { bytes: new Uint8Array(8), relocations: [[0, '64', '.text', 8]] },
        '.bss': { size: 64, alignment: 64 },
      },
      symbols: {
        pipe_read: { section: '.text', binding: 'global', type: 'func' },
        callee: { section: '.text', value: 32, type: 'func' },
        variable: { section: '.bss', value: 8 },
      },
    }),
  );
}

async function soundUpdate(): Promise<Uint8Array> {
  const sample = sampleUpdate();
  const elf = object();
  const contents = {
    ...sample,
    core: elf,
    stub: elf,
    livepatch: elf,
    units: sample.units.map((unit) => ({ ...unit, pre: elf, replacement: elf })),
  };
  return (await signUpdate(await writeUpdate(contents), 'seed', KEY, 17)).bytes;
}

/** Everything that `apply` reads of a file before it asks the kernel. */
async function readWhole(bytes: Uint8Array): Promise<Update> {
  const update = readUpdate(bytes, 'fuzz.ksplice');
  if (Buffer.compare(await packMembers(readMembers(bytes, 'fuzz.ksplice')), bytes) !== 0) {
    throw new Error('accepted, and spelled in another way');
  }
  readObjects(update);
  return update;
}

/** As `readWhole`, of an update that was signed before it was damaged: then nobody has signed it any more. */
async function readSigned(bytes: Uint8Array, sound: readonly Uint8Array[]): Promise<void> {
  const { signature } = await readWhole(bytes);
  const isSound = sound.some((one) => Buffer.compare(one, bytes) === 0);
  if (!isSound && signature !== undefined && isSignedBy(signature, PUBLIC.key)) {
    throw new Error('a good signature of what was not signed');
  }
}

/** Size and checksum as the member's contents want them; all else as in the header that it had. */
function headerFor(header: Uint8Array, size: number): Uint8Array {
  const made = Buffer.from(header);
  made.write(size.toString(8).padStart(11, '0'), 124, 'latin1');
  return withChecksum(made);
}

function withChecksum(header: Buffer): Buffer {
  header.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/**
 * The archive with other contents of its members; none takes the member out. The digest beside the manifest is made
 * right. Not by `packMembers`, which would take ten times as long as what is looked at here.
 */
function rebuilt(bytes: Uint8Array, change: (member: Member) => Uint8Array): Uint8Array {
  const pieces: Uint8Array[] = [];
  let manifest: Uint8Array = new Uint8Array(0);
  for (const member of readMembers(bytes, 'seed')) {
    const changed = member.name === 'manifest.sha256' ? digestLine(manifest) : change(member);
    if (member.name === 'manifest.json') manifest = changed;
    if (changed.length === 0) continue;
    const header = bytes.subarray(member.offset, member.offset + BLOCK);
    pieces.push(
      headerFor(header, changed.length),
      changed,
      new Uint8Array((BLOCK - (changed.length % BLOCK)) % BLOCK),
    );
  }
  return Buffer.concat([...pieces, new Uint8Array(2 * BLOCK)]);
}

/** Damages the header of one member, and makes its checksum right. */
function damageHeader(bytes: Uint8Array, random: Random): Uint8Array {
  const damaged = Buffer.from(bytes);
  const members = readMembers(bytes, 'seed');
  const start = members[random(members.length)]?.offset ?? 0;
  const header = Buffer.alloc(BLOCK);
  header.set(mutate(damaged.subarray(start, start + BLOCK), random).subarray(0, BLOCK));
  damaged.set(withChecksum(header), start);
  return damaged;
}

const VALUES: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  1e308,
  0x1_0000_0000,
  2 ** 53,
  '',
  'a'.repeat(100),
  '../../x',
  '/etc/passwd',
  '\u0000',
  '\u001b[2J',
  '__proto__',
  'units/1/pre.o',
  [],
  {},
  [[]],
  [null],
];

/** A copy with one value somewhere in it changed, taken out, doubled, or given another name. */
function damagedValue(value: unknown, random: Random): unknown {
  if (Array.isArray(value) && value.length > 0 && random(8) > 0) {
    const at = random(value.length);
    if (random(12) === 0) return value.toSpliced(at, random(2), value[random(value.length)]);
    return value.map((item: unknown, index) => (index === at ? damagedValue(item, random) : item));
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && random(16) > 0) {
    const entries: [string, unknown][] = Object.entries(value);
    const at = random(entries.length);
    const isDropped = random(12) === 0;
    const isJoined = !isDropped && random(12) === 0;
    if (isDropped) entries.splice(at, 1);
    if (isJoined) entries.splice(at, 0, [['__proto__', 'extra', 'toString'][random(3)] ?? '', 1]);
    if (!isDropped && !isJoined) {
      return Object.fromEntries(
        entries.map(([key, one], i) => [key, i === at ? damagedValue(one, random) : one]),
      );
    }
    return Object.fromEntries(entries);
  }
  if (typeof value === 'number' && random(3) === 0) return value + random(3) - 1;
  return VALUES[random(VALUES.length)];
}

/** Damages the core, the stub or an object, and makes the manifest right. The signature goes. */
function damageObject(bytes: Uint8Array, random: Random): Uint8Array {
  const objects = readMembers(bytes, 'seed').filter(({ name }) => /\.k?o$/.test(name));
  const chosen = objects[random(objects.length)];
  if (chosen === undefined) throw new Error('no objects');
  const damaged = mutate(chosen.bytes, random);
  if (damaged.length === 0) return bytes;
  return rebuilt(bytes, ({ name, bytes: contents }) => {
    if (name === 'signature') return new Uint8Array(0);
    if (name === chosen.name) return damaged;
    if (name !== 'manifest.json') return contents;
    const entry = new RegExp(`("file": "${chosen.name}",\\s+"size": )\\d+(,\\s+"sha256": ")[0-9a-f]+`);
    const text = Buffer.from(contents).toString('utf8');
    return Buffer.from(text.replace(entry, `$1${damaged.length}$2${sha256(damaged)}`));
  });
}

function damageManifest(bytes: Uint8Array, random: Random): Uint8Array {
  const value = damagedValue(JSON.parse(Buffer.from(bytes).toString('utf8')), random);
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

/** Damages one member. The signature is for the manifest as it was, and would be all that is wrong with another one. */
function only(
  wanted: string,
  change: (bytes: Uint8Array, random: Random) => Uint8Array,
): (bytes: Uint8Array, random: Random) => Uint8Array {
  return (bytes, random) =>
    rebuilt(bytes, ({ name, bytes: contents }) => {
      if (name === wanted) return change(contents, random);
      return name === 'signature' ? new Uint8Array(0) : contents;
    });
}

function updateTargets(sound: readonly Uint8Array[]): readonly Target[] {
  const read = async (bytes: Uint8Array): Promise<void> => {
    await readSigned(bytes, sound);
  };
  return [
    { name: 'file', seeds: sound, read },
    { name: 'headers', seeds: sound, read, damage: damageHeader },
    { name: 'manifest-text', seeds: sound, read, damage: only('manifest.json', mutate) },
    { name: 'manifest', seeds: sound, read, damage: only('manifest.json', damageManifest) },
    { name: 'signature', seeds: sound, read, damage: only('signature', mutate) },
    {
      name: 'objects',
      seeds: sound,
      read,
      damage: damageObject,
    },
  ];
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** Files of the machine: small, and read by root alone; a typing error is what they will hold one day. */
function trustTargets(): readonly Target[] {
  const digest = PUBLIC.id;
  const record = { id: 'sample_1', release: '6.1.0-47', banner: '#1 SMP', serial: 17, digest, key: digest };
  return [
    {
      name: 'policy',
      seeds: [Buffer.from('# what we ask\n\nsignatures = require\n')],
      read: (bytes) => parsePolicy(text(bytes), 'policy'),
    },
    {
      name: 'revoked',
      seeds: [Buffer.from(`# gone\n${digest}\n`)],
      read: (bytes) => parseRevoked(text(bytes), 'revoked'),
    },
    {
      name: 'key',
      seeds: [Buffer.from(PUBLIC.key.export({ type: 'spki', format: 'pem' }))],
      read: (bytes) => parsePublicKey(text(bytes), 'key.pem'),
    },
    {
      name: 'records',
      seeds: [Buffer.from(JSON.stringify({ format: 1, updates: [record] }, null, 2))],
      read: (bytes) => parseSignedRecords(text(bytes), 'signed.json'),
    },
  ];
}

/** Reads `inputs` damaged files, in turn of each target. */
export async function fuzzUpdateReader(inputs: number, options: FuzzOptions): Promise<FuzzResult> {
  const file = process.env['KSPLICE_FUZZ_UPDATE'] ?? '';
  const real = existsSync(file) ? [(await signUpdate(readFileSync(file), file, KEY, 18)).bytes] : [];
  const all = [...updateTargets([await soundUpdate(), ...real]), ...trustTargets()];
  const targets = all.filter(({ name }) => options.targets?.includes(name) ?? true);
  return await fuzz(targets, inputs, options);
}

if (process.argv[1] === import.meta.filename) await runFuzzer(fuzzUpdateReader);
