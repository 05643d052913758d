/**
 * Compressed kernels and modules.
 *
 * A kernel's build compresses with what its configuration says, and writes no name of it anywhere: the first
 * bytes tell. gzip is in Node and legacy LZ4 is decoded here (lz4-legacy.ts); for the others the programs of the
 * Debian packages are run, since those are the ones that the kernel was compressed with. A format's tool is
 * needed only where a file has that format.
 *
 * A few bytes can be made to stand for gigabytes. So who decompresses says how much may come out, and gets an
 * error as soon as more does.
 */
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { FormatError, MissingError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import { CommandError } from '../../process/command-error.ts';
import { run } from '../../process/run.ts';
import { malformedImage } from './image-cursor.ts';
import { decompressLz4, LZ4_LEGACY_MAGIC } from './lz4-legacy.ts';

export type Compression = 'gzip' | 'bzip2' | 'lzma' | 'xz' | 'lzo' | 'lz4' | 'zstd';

/** First bytes, as the kernel's own list has them (lib/decompress.c). */
const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lzma', [0x5d, 0x00, 0x00]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['lzo', [0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]],
  ['lz4', [0, 8, 16, 24].map((shift) => (LZ4_LEGACY_MAGIC >> shift) & 0xff)],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

interface Tool {
  readonly argv: readonly [string, ...string[]];
  /** The Debian package that has it. */
  readonly package: string;
}

/** Each reads standard input and writes standard output. */
const TOOLS: Readonly<Record<Exclude<Compression, 'gzip' | 'lz4'>, Tool>> = {
  bzip2: { argv: ['bzip2', '-dc'], package: 'bzip2' },
  lzma: { argv: ['xz', '--format=lzma', '-dc'], package: 'xz-utils' },
  xz: { argv: ['xz', '--format=xz', '-dc'], package: 'xz-utils' },
  lzo: { argv: ['lzop', '-dc'], package: 'lzop' },
  // A kernel is compressed with --ultra -22, whose window is larger than what zstd takes unasked.
  zstd: { argv: ['zstd', '-dcq', '--long=31'], package: 'zstd' },
};

/** What the first bytes say; undefined for anything else, an uncompressed file among it. */
export function compressionOf(bytes: Uint8Array): Compression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, i) => bytes[i] === byte))?.[0];
}

/**
 * Decompresses, at most `limit` bytes; legacy LZ4, which does not tell how much it holds, must give exactly that.
 * Throws FormatError `malformed_image` for damaged data or more than `limit`, and MissingError `missing_tool`
 * with the Debian package where a program is not installed. `path` is the name for messages.
 */
export async function decompress(
  bytes: Uint8Array,
  compression: Compression,
  limit: number,
  path: string,
): Promise<Uint8Array> {
  if (compression === 'lz4') return decompressLz4(bytes, limit, path);
  if (compression === 'gzip') return inflate(bytes, limit, path);
  const { argv, package: debian } = TOOLS[compression];
  const output = new Collector(limit, path);
  try {
    await run(argv, { input: bytes, stdoutTo: output });
  } catch (cause) {
    if (!(cause instanceof CommandError) || cause.code === 'interrupted') throw cause;
    if (cause.code === 'missing_tool') {
      throw new MissingError(
        'missing_tool',
        `${path}: compressed with ${compression}, and ${argv[0]} is not found`,
        {
          hint: `apt-get install ${debian}`,
          cause,
        },
      );
    }
    throw damaged(path, compression, cause.stderrTail.at(-1)?.trim() ?? cause.message, cause);
  }
  return output.contents();
}

async function inflate(bytes: Uint8Array, limit: number, path: string): Promise<Uint8Array> {
  try {
    // Node takes a limit of 1 byte at least.
    return await promisify(gunzip)(bytes, { maxOutputLength: Math.max(1, limit) });
  } catch (cause) {
    throw damaged(path, 'gzip', cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function damaged(path: string, compression: Compression, reason: string, cause: unknown): FormatError {
  return new FormatError('malformed_image', `${path}: its ${compression} data do not decompress: ${reason}`, {
    details: { file: path },
    cause,
  });
}

/** Keeps what a program writes, up to a limit. */
class Collector extends Writable {
  readonly #chunks: Buffer[] = [];
  readonly #limit: number;
  readonly #path: string;
  #size = 0;

  constructor(limit: number, path: string) {
    super();
    this.#limit = limit;
    this.#path = path;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#size += chunk.length;
    if (this.#size > this.#limit) {
      done(malformedImage(this.#path, 0, `its data decompress to more than ${hex(this.#limit)} bytes`));
      return;
    }
    this.#chunks.push(chunk);
    done();
  }

  contents(): Uint8Array {
    return Buffer.concat(this.#chunks, this.#size);
  }
}
