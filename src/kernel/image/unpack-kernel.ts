/**
 * From the file that was installed to the ELF file that the build linked: vmlinuz to vmlinux.
 *
 * The build appends to the compressed data the size of the original, 32 bits, because the boot code must know how
 * much room it needs; gzip is the exception, its own last 32 bits say the same (scripts/Makefile.lib,
 * `size_append`). These four bytes are no part of any compression format, and a decompressor takes them for
 * damage. What comes out is the stripped vmlinux and, on a kernel with KASLR, the list of its relocations behind
 * it, of which an ELF reader sees nothing.
 */
import { hex } from '../../diagnostics/hex.ts';
import { isBootImage, payloadOf } from './boot-image.ts';
import { compressionOf, decompress } from './decompress.ts';
import { malformedImage } from './image-cursor.ts';

/** Far above any kernel, and far below what a machine cannot hold. */
const LARGEST_KERNEL = 1 << 30;
const TRAILER = 4;

/**
 * The ELF file in a kernel image: of a bzImage its payload, decompressed; anything else is the ELF file itself, or
 * that compressed. Throws FormatError `malformed_image`, MissingError `missing_tool`.
 */
export async function unpackKernel(bytes: Uint8Array, path: string): Promise<Uint8Array> {
  if (!isBootImage(bytes)) {
    const compression = compressionOf(bytes);
    // Legacy LZ4 needs a size, which only the payload of a bzImage has.
    return compression === undefined || compression === 'lz4'
      ? bytes
      : decompress(bytes, compression, LARGEST_KERNEL, path);
  }
  const payload = payloadOf(bytes, path);
  const compression = compressionOf(payload);
  if (compression === undefined) return payload;
  if (payload.length < TRAILER) throw malformedImage(path, 0, 'its payload has no size');
  const end = payload.length - TRAILER;
  const size = new DataView(payload.buffer, payload.byteOffset + end).getUint32(0, true);
  if (size > LARGEST_KERNEL) throw malformedImage(path, 0, `its payload claims ${hex(size)} bytes`);
  const data = compression === 'gzip' ? payload : payload.subarray(0, end);
  const kernel = await decompress(data, compression, size, path);
  if (kernel.length !== size) {
    throw malformedImage(
      path,
      0,
      `its ${compression} payload gives ${hex(kernel.length)} bytes, not ${hex(size)}`,
    );
  }
  return kernel;
}
