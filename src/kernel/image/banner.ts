/**
 * What a kernel says of itself: `linux_banner`, the line that it prints first and shows as /proc/version.
 *
 *     Linux version 6.1.0-47-cloud-amd64 (debian-kernel@lists.debian.org) (gcc-12 ...) #1 SMP ... Debian 6.1.170-3 (...)
 *
 * The setup header of vmlinuz has the same for boot loaders, but it is not part of the kernel that will run.
 */
import { hex } from '../../diagnostics/hex.ts';
import type { Address } from '../address.ts';
import { malformedImage } from './image-cursor.ts';
import type { Memory } from './memory.ts';

export interface Banner {
  /** `uname -r`. */
  readonly release: string;
  /** `uname -v`: `#1 SMP PREEMPT_DYNAMIC Debian 6.1.170-3 (2026-05-08)`. */
  readonly version: string;
}

/** Longer than any: compilers name themselves at length. */
const LONGEST_BANNER = 1024;

/** Reads it at the address of `linux_banner`; FormatError `malformed_image` if it is not there. */
export function readBanner(memory: Memory, at: Address | undefined, path: string): Banner {
  if (at === undefined) throw malformedImage(path, 0, 'its kallsyms have no linux_banner');
  const text = memory.readText(at, LONGEST_BANNER) ?? '';
  const found = /^Linux version (\S+) .*\) (#.*)\n?$/.exec(text);
  if (found?.[1] === undefined || found[2] === undefined) {
    throw malformedImage(path, 0, `linux_banner at ${hex(at)} is no banner: '${text.slice(0, 80)}'`);
  }
  return { release: found[1], version: found[2] };
}
