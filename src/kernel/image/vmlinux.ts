/**
 * The linked kernel, vmlinux: ELF64, x86-64, ET_EXEC.
 *
 * What the boot code loads are the segments (`parse_elf()` in arch/x86/boot/compressed/misc.c), so memory is made
 * of them, the gaps between sections included; the sections, which no loader looks at but a stripped kernel still
 * has, give names to parts of it. Each of the two could be wrong without the other, so they are checked against
 * each other: an allocated section must lie in a segment, with the same bytes of the file at the same address.
 *
 * Addresses are the link's. A running kernel adds the KASLR offset to every one of them except the per-CPU
 * section's, which is linked at 0 on x86-64 before 6.15.
 */
import { hex } from '../../diagnostics/hex.ts';
import {
  EHDR_SIZE,
  EI_CLASS,
  EI_DATA,
  ELFCLASS64,
  ELFDATA2LSB,
  EM_X86_64,
  SHDR_SIZE,
  SHF_ALLOC,
  SHT_NOBITS,
  SHT_NULL,
  SHT_STRTAB,
} from '../../elf/constants.ts';
import { stringReader } from '../../elf/string-table.ts';
import { type Address, toAddress } from '../address.ts';
import { ImageCursor } from './image-cursor.ts';

export interface ImageSection {
  readonly name: string;
  /** SHT_*. */
  readonly type: number;
  /** SHF_* bits. */
  readonly flags: number;
  readonly address: Address;
  readonly size: number;
  /** A view into the file; empty for SHT_NOBITS, although `size` is not 0. */
  readonly data: Uint8Array;
}

/** A PT_LOAD segment: from `data.length` to `size` its memory is zero. */
export interface ImageSegment {
  readonly address: Address;
  readonly size: number;
  readonly data: Uint8Array;
}

export interface Vmlinux {
  /** Name for messages. */
  readonly path: string;
  /** In the file's order, without section 0. */
  readonly sections: readonly ImageSection[];
  readonly segments: readonly ImageSegment[];
}

const ET_EXEC = 2;
const PT_LOAD = 1;
const PHDR_SIZE = 56;
/** __START_KERNEL_map, and KERNEL_IMAGE_SIZE at its largest: from there on are modules. */
const KERNEL_START = 0xffffffff80000000n;
const KERNEL_END = 0xffffffffc0000000n;
const LARGEST_SEGMENT = 1 << 30;

interface Header {
  readonly segments: { readonly offset: number; readonly count: number };
  readonly sections: { readonly offset: number; readonly count: number; readonly names: number };
}

/** Reads a vmlinux. Throws FormatError `malformed_image`, and nothing else, whatever the bytes are. */
export function readVmlinux(bytes: Uint8Array, path: string): Vmlinux {
  const cursor = new ImageCursor(bytes, path);
  const header = readHeader(cursor);
  const segments = readSegments(cursor, header);
  return { path, segments, sections: readSections(cursor, header, segments) };
}

function readHeader(cursor: ImageCursor): Header {
  const { bytes } = cursor;
  cursor.view(0, EHDR_SIZE, 'the file header');
  const expect = (found: number | undefined, expected: number, what: string, at: number): void => {
    if (found !== expected) cursor.fail(`${what} is ${found}, expected ${expected}`, at);
  };
  if ([0x7f, 0x45, 0x4c, 0x46].some((byte, i) => bytes[i] !== byte)) {
    cursor.fail('neither a compressed kernel nor an ELF file: expected 7f 45 4c 46', 0);
  }
  expect(bytes[EI_CLASS], ELFCLASS64, 'ELF class', EI_CLASS);
  expect(bytes[EI_DATA], ELFDATA2LSB, 'byte order', EI_DATA);
  cursor.seek(16);
  expect(cursor.u16('e_type'), ET_EXEC, 'file type', 16);
  expect(cursor.u16('e_machine'), EM_X86_64, 'machine', 18);
  cursor.seek(32);
  const segmentOffset = cursor.size('e_phoff');
  const sectionOffset = cursor.size('e_shoff');
  cursor.seek(54);
  expect(cursor.u16('e_phentsize'), PHDR_SIZE, 'size of a program header', 54);
  const segmentCount = cursor.u16('e_phnum');
  expect(cursor.u16('e_shentsize'), SHDR_SIZE, 'size of a section header', 58);
  const sectionCount = cursor.u16('e_shnum');
  const names = cursor.u16('e_shstrndx');
  if (sectionCount === 0) cursor.fail('the file has no sections', 60);
  if (names === 0 || names >= sectionCount) {
    cursor.fail(`section names are in section ${names}, file has ${sectionCount} sections`, 62);
  }
  cursor.view(segmentOffset, segmentCount * PHDR_SIZE, 'the program header table');
  cursor.view(sectionOffset, sectionCount * SHDR_SIZE, 'the section header table');
  return {
    segments: { offset: segmentOffset, count: segmentCount },
    sections: { offset: sectionOffset, count: sectionCount, names },
  };
}

function readSegments(cursor: ImageCursor, header: Header): readonly ImageSegment[] {
  const segments: ImageSegment[] = [];
  for (let i = 0; i < header.segments.count; i++) {
    const at = header.segments.offset + i * PHDR_SIZE;
    cursor.seek(at);
    if (cursor.u32('p_type') !== PT_LOAD) continue;
    cursor.skip(4);
    const offset = cursor.size('p_offset');
    const address = cursor.u64('p_vaddr');
    cursor.skip(8);
    const fileSize = cursor.size('p_filesz');
    const size = cursor.size('p_memsz');
    if (size < fileSize || size > LARGEST_SEGMENT) {
      cursor.fail(`segment ${i} has ${hex(size)} bytes, ${hex(fileSize)} of them in the file`, at);
    }
    if (size === 0) continue;
    const isKernel = address >= KERNEL_START && address + BigInt(size) <= KERNEL_END;
    if (address !== 0n && !isKernel) {
      cursor.fail(
        `segment ${i} is at ${hex(address)}, expected the kernel's addresses from ${hex(KERNEL_START)} to ` +
          `${hex(KERNEL_END)}, or 0 for per-CPU data`,
        at,
      );
    }
    cursor.seek(at);
    const data = cursor.view(offset, fileSize, `segment ${i}`);
    const other = segments.find(
      (each) => each.address < address + BigInt(size) && address < each.address + BigInt(each.size),
    );
    if (other !== undefined) cursor.fail(`segment ${i} overlaps the one at ${hex(other.address)}`, at);
    segments.push({ address: toAddress(address), size, data });
  }
  if (segments.length === 0) cursor.fail('no segment of the file is loaded');
  return segments;
}

function readSections(
  cursor: ImageCursor,
  header: Header,
  segments: readonly ImageSegment[],
): readonly ImageSection[] {
  const { offset, count, names } = header.sections;
  const raw = Array.from({ length: count }, (_, index) => {
    const at = offset + index * SHDR_SIZE;
    cursor.seek(at);
    return {
      index,
      at,
      nameOffset: cursor.u32('sh_name'),
      type: cursor.u32('sh_type'),
      flags: cursor.size('sh_flags'),
      address: cursor.u64('sh_addr'),
      offset: cursor.size('sh_offset'),
      size: cursor.size('sh_size'),
    };
  });
  const strings = raw[names];
  if (strings === undefined || strings.type !== SHT_STRTAB) {
    cursor.fail(`section ${names} holds the names, type ${strings?.type}, expected SHT_STRTAB`, 62);
  }
  cursor.seek(strings.at);
  cursor.view(strings.offset, strings.size, `section ${names}`);
  const name = stringReader(cursor, strings.offset, strings.size);
  return raw
    .filter(({ type, index }) => index > 0 && type !== SHT_NULL)
    .map((each) => {
      cursor.seek(each.at);
      const data =
        each.type === SHT_NOBITS
          ? cursor.bytes.subarray(0, 0)
          : cursor.view(each.offset, each.size, `section ${each.index}`);
      const section: ImageSection = {
        name: name(each.nameOffset, each.at, () => `section ${each.index}`),
        type: each.type,
        flags: each.flags,
        address: toAddress(each.address),
        size: each.size,
        data,
      };
      if ((each.flags & SHF_ALLOC) !== 0 && each.size > 0 && !isLoaded(section, segments)) {
        cursor.fail(`section ${each.index} (${section.name}) at ${hex(each.address)} is in no segment`);
      }
      return section;
    });
}

/** Whether a segment has the section's memory, made from the same bytes of the file. */
function isLoaded(section: ImageSection, segments: readonly ImageSegment[]): boolean {
  const { address, size, data } = section;
  const segment = segments.find(
    (each) => each.address <= address && address + BigInt(size) <= each.address + BigInt(each.size),
  );
  if (segment === undefined) return false;
  const start = segment.data.byteOffset + Number(address - segment.address);
  return (
    data.length === 0 ||
    (data.byteOffset === start && data.length <= segment.data.byteOffset + segment.data.length - start)
  );
}
