import { FormatError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';

/**
 * A place in a file that is being read: name, bytes and position in one value, so that whatever is
 * wrong is reported with the file and the offset, `net/x.o: at 0x40: ...`. Little-endian.
 *
 * A read names what it reads; a failed read does not move the position.
 */
export class Cursor {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #position: number;

  constructor(bytes: Uint8Array, path: string, position = 0) {
    // A plain view even of a Buffer, whose `slice` and equality are different.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.path = path;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  /** Another cursor on the same file. */
  at(position: number): Cursor {
    return new Cursor(this.bytes, this.path, position);
  }

  seek(position: number): void {
    this.#position = position;
  }

  skip(size: number): void {
    this.#position += size;
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#take(1, what));
  }

  u16(what: string): number {
    return this.#view.getUint16(this.#take(2, what), true);
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#take(4, what), true);
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.#take(8, what), true);
  }

  /** An unsigned 64-bit field that is an offset or a size: refused from 2^53 on. */
  size(what: string): number {
    const start = this.#take(8, what);
    const high = this.#view.getUint32(start + 4, true);
    if (high >= 0x20_0000) {
      this.fail(`${what} is ${hex(this.#view.getBigUint64(start, true))}, expected less than 2^53`, start);
    }
    return high * 0x1_0000_0000 + this.#view.getUint32(start, true);
  }

  /** A signed 64-bit field that is an addend: refused where a `number` would round it. */
  signed(what: string): number {
    const start = this.#take(8, what);
    const value = this.#view.getBigInt64(start, true);
    const result = Number(value);
    if (!Number.isSafeInteger(result)) {
      this.fail(`${what} is ${hex(value)}, expected a magnitude less than 2^53`, start);
    }
    return result;
  }

  /** A view of `size` bytes from `offset`, never a copy. `what` is a noun: `section header table`. */
  view(offset: number, size: number, what: string): Uint8Array {
    if (offset + size > this.bytes.length) {
      this.fail(`${what} ends at ${hex(offset + size)}, file has ${hex(this.bytes.length)} bytes`);
    }
    return this.bytes.subarray(offset, offset + size);
  }

  /** Throws; the message says what was found and what was expected. `at` is an offset in the file. */
  fail(message: string, at: number = this.#position): never {
    throw new FormatError('malformed_object', `${this.path}: at ${hex(at)}: ${message}`, {
      details: { file: this.path, offset: at },
    });
  }

  /** Start of the next `size` bytes, after moving past them. */
  #take(size: number, what: string): number {
    const start = this.#position;
    // A place that was computed from what the file says may lie before its start.
    if (start < 0 || start + size > this.#view.byteLength) {
      this.fail(`${what} needs ${size} bytes, file has ${hex(this.#view.byteLength)} bytes`);
    }
    this.#position = start + size;
    return start;
  }
}
