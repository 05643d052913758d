/**
 * Memory that the harness and the guest both see: a file that QEMU maps as an ivshmem device.
 *
 * The first half is a ring for what goes into the guest, the second for what comes out; positions count bytes
 * since the start, modulo 2^32. `test/guest/agent.c` has the whole picture. Node cannot map a file, but it
 * reads and writes the same pages.
 */
import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { FormatError } from '../../../src/diagnostics/error.ts';
import { hex } from '../../../src/diagnostics/hex.ts';

/** Where a payload lies, and its checksum. */
export interface SharedPlace {
  readonly position: number;
  readonly length: number;
  readonly checksum: number;
}

export class SharedMemory {
  readonly path: string;
  /** Of the file: both rings. */
  readonly size: number;
  readonly #file: number;
  readonly #half: number;
  #usable = false;
  #written = 0;
  #freed = 0;

  /** Creates the file; `size` is a power of two. */
  constructor(path: string, size: number) {
    this.path = path;
    this.size = size;
    this.#half = size / 2;
    this.#file = openSync(path, 'wx+', 0o600);
    ftruncateSync(this.#file, size);
  }

  /** Whether the guest has mapped it. */
  get usable(): boolean {
    return this.#usable;
  }

  /** What the guest says when it comes up: the size of each ring that it sees, 0 for none. */
  announce(ringSize: number): void {
    if (ringSize !== 0 && ringSize !== this.#half) {
      throw new FormatError(
        'unexpected',
        `guest: sees shared rings of ${ringSize} bytes, expected ${this.#half}`,
      );
    }
    this.#usable = ringSize !== 0;
  }

  /** Writes into the guest's ring; undefined while it has no room. `bytes` must fit into a ring. */
  put(bytes: Uint8Array): SharedPlace | undefined {
    if (this.#half - (this.#written - this.#freed) < bytes.length) {
      return undefined;
    }
    const position = this.#written;
    const at = position % this.#half;
    const first = Math.min(bytes.length, this.#half - at);
    writeSync(this.#file, bytes, 0, first, at);
    writeSync(this.#file, bytes, first, bytes.length - first, 0);
    this.#written += bytes.length;
    return { position, length: bytes.length, checksum: crc32(bytes) };
  }

  /** The guest has taken everything before `position` (32 bits of it) out of its ring. */
  free(position: number): void {
    this.#freed += (position - this.#freed) >>> 0;
  }

  /** Copies a payload out of our ring; throws FormatError when it is not what the guest wrote. */
  take(place: SharedPlace): Buffer {
    const bytes = Buffer.alloc(Math.min(place.length, this.#half));
    const at = place.position % this.#half;
    const first = Math.min(bytes.length, this.#half - at);
    readSync(this.#file, bytes, 0, first, this.#half + at);
    readSync(this.#file, bytes, first, bytes.length - first, this.#half);
    const found = crc32(bytes);
    if (found !== place.checksum) {
      throw new FormatError(
        'unexpected',
        `guest's shared memory: ${place.length} bytes at ${hex(place.position)} have checksum ${hex(found)}, expected ${hex(place.checksum)}`,
      );
    }
    return bytes;
  }

  close(): void {
    closeSync(this.#file);
  }
}
