/**
 * The symbols of a kernel image, from the tables that the kernel itself prints /proc/kallsyms from.
 *
 * A distributed image has no other symbol table, and Debian's System.map is a stub. The tables are in read-only data
 * and nothing points to them, so they are found by their structure: tokens first (kallsyms-tokens.ts), then
 * the names before them (kallsyms-names.ts), then the addresses (kallsyms-addresses.ts).
 */
import { SHF_ALLOC, SHF_EXECINSTR, SHT_PROGBITS } from '../../elf/constants.ts';
import { malformedImage } from './image-cursor.ts';
import { readAddresses } from './kallsyms-addresses.ts';
import { expandNames, findNames } from './kallsyms-names.ts';
import { findTokenTables } from './kallsyms-tokens.ts';
import type { Vmlinux } from './vmlinux.ts';

/** Symbols in kallsyms' order, which is that of their addresses. */
export interface ImageKallsyms {
  readonly names: readonly string[];
  /** nm's letters, one character a symbol. */
  readonly types: string;
  readonly addresses: BigUint64Array;
}

/**
 * Finds and decodes the tables.
 * Throws FormatError `malformed_image` if the image has none, or they contradict each other.
 */
export function readImageKallsyms(vmlinux: Vmlinux): ImageKallsyms {
  const isMapped = (at: bigint): boolean =>
    vmlinux.segments.some(({ address, size }) => address <= at && at < address + BigInt(size));
  let hasTokens = false;
  let hasNames = false;
  for (const section of vmlinux.sections) {
    const isData = (section.flags & (SHF_ALLOC | SHF_EXECINSTR)) === SHF_ALLOC;
    // Tables are aligned to 8 by their addresses; offsets in the section serve for that if it is itself.
    if (!isData || section.type !== SHT_PROGBITS || section.address % 8n !== 0n) continue;
    for (const tokens of findTokenTables(section.data)) {
      hasTokens = true;
      for (const names of findNames(section.data, tokens)) {
        hasNames = true;
        const addresses = readAddresses({
          section: section.data,
          address: section.address,
          numSyms: names.start,
          tokensEnd: tokens.end,
          count: names.count,
          isMapped,
        });
        if (addresses !== undefined) return { ...expandNames(section.data, tokens, names), addresses };
      }
    }
  }
  const lacks = hasNames ? 'addresses' : hasTokens ? 'names' : 'token table';
  throw malformedImage(vmlinux.path, 0, `found no ${lacks} of kallsyms in its data, expected one`);
}
