/**
 * The file that a boot loader reads, vmlinuz: an x86 bzImage (Documentation/x86/boot.rst, "The Real-Mode
 * Kernel Header").
 *
 * The first sectors are the 16-bit setup code. Its header, from 0x1f1 on, says how many sectors there are; what
 * follows is the protected-mode code, a small program that decompresses the kernel proper, with the kernel as
 * data in it. Protocol 2.08 and later (in Linux since 2.6.26) say where: at `payload_offset` from the start of
 * the protected-mode code, `payload_length` bytes. So the compressed kernel needs no search for magic numbers,
 * of which 14 MB of compressed data hold many by chance.
 *
 *     0x1f1  u8   sectors of setup code after the first one; 0 means 4
 *     0x1fe  u16  0xaa55
 *     0x202  u32  "HdrS"
 *     0x206  u16  version of the protocol, 0x020f for 2.15
 *     0x248  u32  payload_offset
 *     0x24c  u32  payload_length
 */
import { hex } from '../../diagnostics/hex.ts';
import { ImageCursor } from './image-cursor.ts';

const SECTOR = 0x200;
const SETUP_SECTORS = 0x1f1;
const BOOT_FLAG = 0x1fe;
const MAGIC = 0x202;
const VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const HEADER_END = 0x250;
const HDRS = 0x53726448;
const FIRST_VERSION_WITH_PAYLOAD = 0x0208;

/** Whether these are the first bytes of a bzImage. */
export function isBootImage(bytes: Uint8Array): boolean {
  const at = [0x48, 0x64, 0x72, 0x53];
  return at.every((byte, i) => bytes[MAGIC + i] === byte);
}

/**
 * The compressed kernel in a bzImage: a view into `bytes`.
 * Throws FormatError `malformed_image`; `path` is the name for messages.
 */
export function payloadOf(bytes: Uint8Array, path: string): Uint8Array {
  const cursor = new ImageCursor(bytes, path);
  cursor.view(0, HEADER_END, 'the setup header');
  const field = (at: number, size: 1 | 2 | 4, what: string): number => {
    cursor.seek(at);
    return size === 1 ? cursor.u8(what) : size === 2 ? cursor.u16(what) : cursor.u32(what);
  };
  const flag = field(BOOT_FLAG, 2, 'boot flag');
  if (flag !== 0xaa55) cursor.fail(`the boot flag is ${hex(flag)}, expected 0xaa55`, BOOT_FLAG);
  const magic = field(MAGIC, 4, 'magic');
  if (magic !== HDRS) cursor.fail(`the setup header starts with ${hex(magic)}, expected HdrS`, MAGIC);
  const version = field(VERSION, 2, 'version');
  if (version < FIRST_VERSION_WITH_PAYLOAD) {
    cursor.fail(`boot protocol ${hex(version)} does not tell where the payload is, 0x208 does`, VERSION);
  }
  const sectors = field(SETUP_SECTORS, 1, 'setup sectors');
  const protectedMode = ((sectors === 0 ? 4 : sectors) + 1) * SECTOR;
  const offset = protectedMode + field(PAYLOAD_OFFSET, 4, 'payload_offset');
  const length = field(PAYLOAD_LENGTH, 4, 'payload_length');
  if (length === 0) cursor.fail('payload_length is 0: the image holds no kernel', PAYLOAD_LENGTH);
  cursor.seek(PAYLOAD_OFFSET);
  return cursor.view(offset, length, 'the payload');
}
