import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MatchError, MissingError } from '../diagnostics/error.ts';
import { toAddress } from './address.ts';
import { Kcore } from './kcore.ts';

interface Segment {
  readonly type?: number;
  readonly at: bigint;
  readonly bytes: readonly number[];
  readonly memorySize?: number;
}

/** An ELF core file: header, program headers, contents. */
function coreFile(segments: readonly Segment[], type = 4): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01\x01', 'latin1');
  header.writeUInt16LE(type, 16);
  header.writeUInt16LE(62, 18);
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(segments.length, 56);
  let offset = 64 + 56 * segments.length;
  const table = segments.map(({ type: kind = 1, at, bytes, memorySize = bytes.length }) => {
    const entry = Buffer.alloc(56);
    entry.writeUInt32LE(kind, 0);
    entry.writeBigUInt64LE(BigInt(offset), 8);
    entry.writeBigUInt64LE(at, 16);
    entry.writeBigUInt64LE(BigInt(bytes.length), 32);
    entry.writeBigUInt64LE(BigInt(memorySize), 40);
    offset += bytes.length;
    return entry;
  });
  return Buffer.concat([header, ...table, ...segments.map(({ bytes }) => Buffer.from(bytes))]);
}

const TEXT = 0xffffffff81000000n;
const MODULES = 0xffffffffc0000000n;
let directory = '';
let count = 0;

beforeAll(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'ksplice-kcore-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function file(bytes: Uint8Array): string {
  const name = path.join(directory, `core${(count += 1)}`);
  writeFileSync(name, bytes);
  return name;
}

function errorOf(make: () => unknown): unknown {
  try {
    make();
  } catch (error) {
    return error;
  }
  return undefined;
}

const good = [
  { type: 4, at: TEXT, bytes: [9, 9, 9, 9] },
  { at: MODULES, bytes: [1, 2, 3, 4] },
  { at: TEXT, bytes: [5, 6, 7, 8, 9] },
];

describe('Kcore', () => {
  it('reads from the segment that holds the address; notes are not memory', () => {
    const core = new Kcore(file(coreFile(good)));
    expect([...core.read(toAddress(TEXT), 5)]).toEqual([5, 6, 7, 8, 9]);
    expect([...core.read(toAddress(TEXT + 3n), 1)]).toEqual([8]);
    expect([...core.read(toAddress(MODULES + 1n), 3)]).toEqual([2, 3, 4]);
    core.close();
  });

  it.each([
    ['below', TEXT - 1n, 1],
    ['across the end', TEXT + 3n, 3],
    ['behind the end', TEXT + 5n, 1],
    ['nowhere', 0x1000n, 1],
    ['at the top', 0xffffffffffffffffn, 1],
  ])('has no memory %s', (_, at, size) => {
    const core = new Kcore(file(coreFile(good)));
    const error = errorOf(() => core.read(toAddress(at), size));
    expect(error).toBeInstanceOf(MatchError);
    expect(error).toMatchObject({ code: 'no_match', exitCode: 4 });
    core.close();
  });

  it('does not take what follows in the file for memory that is not in it', () => {
    const core = new Kcore(
      file(
        coreFile([
          { at: TEXT, bytes: [1, 2], memorySize: 4 },
          { at: MODULES, bytes: [3, 4] },
        ]),
      ),
    );
    expect(() => core.read(toAddress(TEXT), 4)).toThrow(MatchError);
    core.close();
  });

  it('a file that ends within a segment', () => {
    const whole = coreFile(good);
    const core = new Kcore(file(whole.subarray(0, whole.length - 2)));
    const error = errorOf(() => core.read(toAddress(TEXT), 5));
    expect(error).toBeInstanceOf(MatchError);
    expect(String(error)).toMatch(/ends after 0x3 bytes/);
    core.close();
  });

  it.each([
    ['empty', Buffer.alloc(0), /shorter than an ELF header/],
    ['a part of a header', coreFile(good).subarray(0, 40), /shorter than an ELF header/],
    ['text', Buffer.alloc(100, 'x'), /no ELF magic/],
    ['an object file', coreFile(good, 1), /not ET_CORE/],
    ['program headers cut off', coreFile(good).subarray(0, 100), /program headers end early/],
  ])('%s: no_kcore, exit 69, with a hint', (_, bytes, message) => {
    const error = errorOf(() => new Kcore(file(bytes)));
    expect(error).toBeInstanceOf(MissingError);
    expect(error).toMatchObject({ code: 'no_kcore', exitCode: 69 });
    expect(String(error)).toMatch(message);
    expect(error instanceof MissingError && error.hint).toMatch(/kcore/);
  });

  it('a path where nothing is, or a directory', () => {
    for (const name of [path.join(directory, 'absent'), directory]) {
      const error = errorOf(() => new Kcore(name));
      expect(error).toMatchObject({ code: 'no_kcore', exitCode: 69 });
      expect(String(error)).toContain(name);
    }
  });
});
