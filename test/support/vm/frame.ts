/**
 * Frames on the line between the harness and the guest's agent; `test/guest/agent.c` describes them.
 */
import { crc32 } from 'node:zlib';
import { FormatError } from '../../../src/diagnostics/error.ts';
import { hex } from '../../../src/diagnostics/hex.ts';

export const FRAME = {
  exec: 1,
  stdin: 2,
  kill: 3,
  powerOff: 4,
  stdinAt: 5,
  freed: 32,
  hello: 64,
  started: 65,
  stdout: 66,
  stderr: 67,
  exit: 68,
  credit: 69,
  stdoutAt: 70,
  stderrAt: 71,
} as const;

export interface Frame {
  readonly type: number;
  /** The command that the frame is about; 0 where it is about the line. */
  readonly command: number;
  readonly payload: Buffer;
}

const MAGIC = 0x4d56534b; // "KSVM", little-endian
const HEADER_SIZE = 20;
const MAX_PAYLOAD = 4 << 20;

function checksum(header: Buffer, payload: Uint8Array): number {
  return crc32(payload, crc32(header.subarray(4, 16)));
}

export function encodeFrame(type: number, command: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(type, 4);
  header.writeUInt32LE(command, 8);
  header.writeUInt32LE(payload.length, 12);
  header.writeUInt32LE(checksum(header, payload), 16);
  return Buffer.concat([header, payload]);
}

/** Numbers of 32 bits, one after the other; larger ones are cut to that. */
export function encodeNumbers(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value >>> 0, 4 * index));
  return bytes;
}

/** Puts frames together again from the chunks that a socket hands out. */
export class FrameDecoder {
  #chunks: Buffer[] = [];
  #held = 0;

  /** Every frame that `chunk` completes; throws FormatError when the line lost or changed something. */
  push(chunk: Buffer): readonly Frame[] {
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    if (this.#held < HEADER_SIZE) {
      return [];
    }
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    const frames: Frame[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER_SIZE) {
      const header = bytes.subarray(at, at + HEADER_SIZE);
      const magic = header.readUInt32LE(0);
      const size = header.readUInt32LE(12);
      if (magic !== MAGIC || size > MAX_PAYLOAD) {
        throw new FormatError(
          'unexpected',
          `guest's data line: magic ${hex(magic)}, size ${size}: expected ${hex(MAGIC)}, at most ${MAX_PAYLOAD}`,
        );
      }
      if (bytes.length - at < HEADER_SIZE + size) {
        break;
      }
      const payload = bytes.subarray(at + HEADER_SIZE, at + HEADER_SIZE + size);
      const found = checksum(header, payload);
      const expected = header.readUInt32LE(16);
      if (found !== expected) {
        throw new FormatError(
          'unexpected',
          `guest's data line: frame has checksum ${hex(found)}, expected ${hex(expected)}`,
        );
      }
      frames.push({ type: header.readUInt32LE(4), command: header.readUInt32LE(8), payload });
      at += HEADER_SIZE + size;
    }
    const rest = bytes.subarray(at);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
    return frames;
  }
}
