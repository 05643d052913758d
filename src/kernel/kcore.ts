/**
 * /proc/kcore: the running kernel's memory as an ELF core file.
 *
 * Its program headers map virtual addresses to file offsets; the kernel's text, data and modules are
 * among them. Reads go straight to memory, so they race with the kernel rewriting its own text: who
 * finds something unexpected must read again before believing it.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { MatchError, MissingError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';
import type { Address } from './address.ts';

interface Segment {
  readonly start: bigint;
  readonly end: bigint;
  readonly fileOffset: bigint;
}

const ELF_HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const PT_LOAD = 1;
const ET_CORE = 4;
const LARGEST_OFFSET = (1n << 63n) - 1n;

function errorCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

function cannotRead(path: string, error: unknown): MissingError {
  const errno = errorCodeOf(error);
  if (errno === 'EPERM') {
    return new MissingError('lockdown', `${path}: reading the kernel's memory is forbidden (${errno})`, {
      hint: 'confidentiality mode of lockdown closes /proc/kcore (cat /sys/kernel/security/lockdown): boot without lockdown=confidentiality',
      cause: error,
    });
  }
  return new MissingError('no_kcore', `${path}: cannot read the running kernel's memory (${errno})`, {
    hint: 'matching needs /proc/kcore: mount /proc, and a kernel with CONFIG_PROC_KCORE',
    cause: error,
  });
}

function notCore(path: string, problem: string): MissingError {
  return new MissingError('no_kcore', `${path}: not a core file of this kernel: ${problem}`, {
    hint: 'something else may be mounted over /proc/kcore',
  });
}

/** An open /proc/kcore; closed by who opened it. */
export class Kcore {
  readonly #fd: number;
  readonly #path: string;
  readonly #segments: readonly Segment[];

  constructor(path = '/proc/kcore') {
    this.#path = path;
    try {
      this.#fd = openSync(path, 'r');
    } catch (error) {
      throw cannotRead(path, error);
    }
    try {
      this.#segments = this.#readSegments();
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  #part(position: bigint, size: number, problem: string): Buffer {
    const bytes = Buffer.alloc(size);
    const count = this.#readAt(bytes, 0, position);
    if (count !== size) throw notCore(this.#path, problem);
    return bytes;
  }

  #readSegments(): readonly Segment[] {
    const header = this.#part(0n, ELF_HEADER_SIZE, 'shorter than an ELF header');
    if (header.readUInt32BE(0) !== 0x7f454c46) throw notCore(this.#path, 'no ELF magic');
    if (header.readUInt16LE(16) !== ET_CORE) throw notCore(this.#path, 'not ET_CORE');
    const count = header.readUInt16LE(56);
    const tableOffset = header.readBigUInt64LE(32);
    const table = this.#part(tableOffset, count * PROGRAM_HEADER_SIZE, 'program headers end early');
    const segments: Segment[] = [];
    for (let at = 0; at < table.length; at += PROGRAM_HEADER_SIZE) {
      if (table.readUInt32LE(at) !== PT_LOAD) continue;
      const start = table.readBigUInt64LE(at + 16);
      segments.push({
        start,
        end: start + table.readBigUInt64LE(at + 32),
        fileOffset: table.readBigUInt64LE(at + 8),
      });
    }
    return segments;
  }

  /** `size` bytes at `at`; MatchError no_match where there is no memory. */
  read(at: Address, size: number): Uint8Array {
    const segment = this.#segments.find((each) => each.start <= at && at + BigInt(size) <= each.end);
    if (segment === undefined) {
      throw new MatchError('no_match', `${hex(at)}: no kernel memory of ${hex(size)} bytes there`);
    }
    const bytes = Buffer.alloc(size);
    let done = 0;
    while (done < size) {
      const position = segment.fileOffset + (at - segment.start) + BigInt(done);
      const count = this.#readAt(bytes, done, position);
      if (count === 0) {
        throw new MatchError('no_match', `${hex(at)}: ${this.#path} ends after ${hex(done)} bytes`);
      }
      done += count;
    }
    return bytes;
  }

  /** How many bytes there were; 0 where the file has none, at an offset that no file can have too. */
  #readAt(bytes: Buffer, from: number, position: bigint): number {
    if (position > LARGEST_OFFSET) return 0;
    try {
      return readSync(this.#fd, bytes, from, bytes.length - from, position);
    } catch (error) {
      throw cannotRead(this.#path, error);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
