/**
 * The container: a tar archive of one shape only.
 *
 * A tar reader that is made for any archive must guess: base-256 numbers, PAX and GNU records that rename
 * the next member, checksums counted in two ways, whatever follows the end. Every guess is a way to make
 * two readers see different files. An update is loaded into a kernel, so this reader knows one shape,
 * plain ustar headers of regular files, and says where a file departs from it. Sizes are compared with
 * what is left of the file before a byte is taken; members are views, nothing is copied.
 *
 * Every byte of a header is looked at: what is not name, size or checksum must be as `packMembers` writes it,
 * so the same members have one spelling.
 *
 * POSIX.1-1988 ustar header, 512 bytes: name 0, mode 100, uid 108, gid 116, size 124, mtime 136,
 * checksum 148, type 156, link name 157, magic 257, version 263, user 265, group 297, device numbers 329
 * and 337, prefix 345.
 */
import { packTar } from 'modern-tar';
import { LIMITS } from './limits.ts';
import { malformedUpdate, quoted } from './malformed.ts';
import { isMemberName, MANIFEST_MEMBER, SIGNATURE_MEMBER } from './member-names.ts';

/** One member of the archive, and where its header starts in the file. */
export interface TarMember {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly offset: number;
}

const BLOCK = 512;
const REGULAR_FILE = '0';
const NUL = String.fromCharCode(0);

/** Packs members in the order given; the same members give the same bytes, at any time, by any user. */
export async function packMembers(members: readonly Omit<TarMember, 'offset'>[]): Promise<Uint8Array> {
  return await packTar(
    members.map(({ name, bytes }) => ({
      header: { name, size: bytes.length, type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: new Date(0) },
      body: bytes,
    })),
  );
}

/** Walks the archive from end to end. Throws FormatError `malformed_update`; `file` names it in errors. */
export function readMembers(archive: Uint8Array, file: string): readonly TarMember[] {
  if (archive.length > LIMITS.file) {
    throw malformedUpdate(file, 'file', `${archive.length} bytes`, `at most ${LIMITS.file}`);
  }
  const members = new Map<string, TarMember>();
  let offset = 0;
  for (;;) {
    const header = archive.subarray(offset, offset + BLOCK);
    if (header.length < BLOCK) {
      throw malformedUpdate(
        file,
        `offset ${offset}`,
        `${header.length} bytes`,
        `a header of ${BLOCK} bytes`,
        {
          hint: 'the file is cut short: copy it again',
        },
      );
    }
    if (isZero(header)) {
      checkEnd(archive, offset, file);
      return [...members.values()];
    }
    const { name, size } = readHeader(header, offset, file);
    if (members.has(name)) {
      throw malformedUpdate(file, `offset ${offset}`, `a second ${name}`, 'each member once');
    }
    const start = offset + BLOCK;
    const next = start + Math.ceil(size / BLOCK) * BLOCK;
    if (next > archive.length) {
      const found = `${archive.length - start} bytes left in the file`;
      throw malformedUpdate(file, name, found, `${next - start} as its header says`, {
        hint: 'the file is cut short: copy it again',
      });
    }
    if (!isZero(archive.subarray(start + size, next))) {
      throw malformedUpdate(file, name, 'data in the padding behind it', 'zeros');
    }
    members.set(name, { name, bytes: archive.subarray(start, start + size), offset });
    offset = next;
  }
}

/** The end of the archive is two blocks of zeros, and they end the file. */
function checkEnd(archive: Uint8Array, offset: number, file: string): void {
  const rest = archive.subarray(offset);
  if (rest.length !== 2 * BLOCK) {
    const found = `${rest.length} bytes at the end`;
    throw malformedUpdate(file, `offset ${offset}`, found, `an end mark of ${2 * BLOCK} bytes`);
  }
  if (!isZero(rest)) {
    throw malformedUpdate(file, `offset ${offset}`, 'data in the end mark', 'zeros');
  }
}

function readHeader(
  header: Uint8Array,
  offset: number,
  file: string,
): { readonly name: string; readonly size: number } {
  const at = `header at offset ${offset}`;
  const magic = rawText(header, 257, 8);
  if (magic !== `ustar${NUL}00`) {
    throw malformedUpdate(file, at, quoted(magic), 'the ustar mark of a tar archive');
  }
  const name = text(header, 0, 100);
  const stored = rawText(header, 148, 8);
  const computed = `${checksum(header).toString(8).padStart(6, '0')}${NUL} `;
  if (stored !== computed) {
    throw malformedUpdate(file, at, `checksum ${quoted(stored)}`, quoted(computed));
  }
  const type = rawText(header, 156, 1);
  if (type !== REGULAR_FILE) {
    throw malformedUpdate(
      file,
      `${at}, ${quoted(name)}`,
      `type ${quoted(type)}`,
      'a regular file (type "0")',
    );
  }
  if (!isMemberName(name) || text(header, 345, 155) !== '') {
    throw malformedUpdate(file, at, `member ${quoted(name)}`, 'a member that an update file has');
  }
  const size = octalSize(header, name, file);
  checkFixedBytes(header, name, at, file);
  const limit = limitOf(name);
  if (size > limit) {
    throw malformedUpdate(file, name, `${size} bytes`, `at most ${limit}`);
  }
  return { name, size };
}

function limitOf(name: string): number {
  if (name === MANIFEST_MEMBER) return LIMITS.manifest;
  return name === SIGNATURE_MEMBER ? LIMITS.signature : LIMITS.member;
}

/** Mode, owners and date: all that `packMembers` writes besides name, size and checksum, by offset. */
const fixedFields: readonly (readonly [offset: number, text: string])[] = [
  [100, '0000644'],
  [108, '0000000'],
  [116, '0000000'],
  [136, '00000000000'],
  [156, REGULAR_FILE],
  [257, 'ustar'],
  [263, '00'],
];

function checkFixedBytes(header: Uint8Array, name: string, at: string, file: string): void {
  const expected = new Uint8Array(BLOCK);
  const write = (offset: number, value: string): void => expected.set(Buffer.from(value, 'latin1'), offset);
  for (const [offset, value] of fixedFields) write(offset, value);
  write(0, name);
  expected.set(header.subarray(124, 136), 124);
  expected.set(header.subarray(148, 156), 148);
  const offset = expected.findIndex((byte, index) => byte !== header[index]);
  if (offset === -1) return;
  throw malformedUpdate(
    file,
    `${at}, ${quoted(name)}`,
    `byte ${header[offset]} at offset ${offset} of the header`,
    `${expected[offset]}`,
    { hint: 'mode, owner and date of every member are fixed: the file was packed by another program' },
  );
}

function octalSize(header: Uint8Array, name: string, file: string): number {
  const digits = rawText(header, 124, 12);
  if (!/^[0-7]{11}$/.test(digits.slice(0, 11)) || digits[11] !== NUL) {
    throw malformedUpdate(file, name, `size ${quoted(digits)}`, '11 octal digits');
  }
  return Number.parseInt(digits.slice(0, 11), 8);
}

/** The sum of all bytes, those of the checksum itself counted as spaces. */
function checksum(header: Uint8Array): number {
  let sum = 8 * 0x20;
  for (const byte of header) sum += byte;
  for (const byte of header.subarray(148, 156)) sum -= byte;
  return sum;
}

function rawText(header: Uint8Array, start: number, length: number): string {
  return Buffer.from(header.subarray(start, start + length)).toString('latin1');
}

/** A text field: up to its first NUL. */
function text(header: Uint8Array, start: number, length: number): string {
  return rawText(header, start, length).split(NUL, 1)[0] ?? '';
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
