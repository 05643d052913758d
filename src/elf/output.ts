import { InternalError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';

/**
 * The file that is being written: a buffer of the size that was reserved, filled from front to back,
 * little-endian. Whatever does not fit its field or its place is a bug of the writer, and thrown as one.
 */
export class Output {
  readonly #data: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(size: number) {
    this.#data = new Uint8Array(size);
    this.#view = new DataView(this.#data.buffer);
  }

  u8(value: number): void {
    this.#inRange(value, 0xff);
    this.#view.setUint8(this.#take(1), value);
  }

  u16(value: number): void {
    this.#inRange(value, 0xffff);
    this.#view.setUint16(this.#take(2), value, true);
  }

  u32(value: number): void {
    this.#inRange(value, 0xffff_ffff);
    this.#view.setUint32(this.#take(4), value, true);
  }

  u64(value: bigint): void {
    if (BigInt.asUintN(64, value) !== value) {
      throw new InternalError('unexpected', `object writer: ${hex(value)} does not fit 64 bits`);
    }
    this.#view.setBigUint64(this.#take(8), value, true);
  }

  i64(value: bigint): void {
    if (BigInt.asIntN(64, value) !== value) {
      throw new InternalError('unexpected', `object writer: ${hex(value)} does not fit 64 bits`);
    }
    this.#view.setBigInt64(this.#take(8), value, true);
  }

  bytes(bytes: Uint8Array): void {
    this.#data.set(bytes, this.#take(bytes.length));
  }

  zeros(size: number): void {
    this.#take(size);
  }

  /** Zeros up to the place that `what` was promised. */
  padTo(position: number, what: string): void {
    if (position < this.#position) this.expectPosition(position, what);
    this.#take(position - this.#position);
  }

  expectPosition(position: number, what: string): void {
    if (this.#position !== position) {
      throw new InternalError(
        'unexpected',
        `object writer: ${what} is at ${hex(this.#position)}, reserved at ${hex(position)}`,
      );
    }
  }

  /** The bytes; the buffer must be full. */
  finish(): Uint8Array {
    this.expectPosition(this.#data.length, 'end of the file');
    return this.#data;
  }

  #take(size: number): number {
    const start = this.#position;
    if (start + size > this.#data.length) {
      throw new InternalError(
        'unexpected',
        `object writer: ${size} bytes at ${hex(start)} do not fit the reserved ${hex(this.#data.length)}`,
      );
    }
    this.#position = start + size;
    return start;
  }

  #inRange(value: number, largest: number): void {
    if (!Number.isInteger(value) || value < 0 || value > largest) {
      throw new InternalError('unexpected', `object writer: ${value} is not within 0..${hex(largest)}`);
    }
  }
}
