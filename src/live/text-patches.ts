/**
 * Who has written to the running kernel's text, besides the kernel itself: kprobes, by the list in debugfs, and
 * applied updates, by what is recorded of them.
 *
 * No address passes through sysfs, so where an update's jump is has to be found: at the recorded distance from
 * a symbol of the function's name, going into the update's module.
 */
import { readFileSync } from 'node:fs';
import { type Address, addressAt, toAddress } from '../kernel/address.ts';
import { type Kernel, type KernelSymbol, type LoadedModule, readIfMapped } from '../kernel/kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import type { TextPatch } from '../match/text-patch.ts';
import { updateModule } from '../update/update-id.ts';
import { isNopSequence } from '../x86/nops.ts';
import { hasEntry, isCoreLoaded, listEntries, stageOf } from './core-sysfs.ts';
import { readRecord } from './journal.ts';
import { livepatchedEntries } from './livepatch-owner.ts';

const KPROBES = '/sys/kernel/debug/kprobes/list';
const INT3 = 0xcc;
const JMP = 0xe9;
const JUMP_SIZE = 5;
const PAGE_SIZE = 4096n;

/** Where the jump at the beginning of the bytes goes; undefined if there is none. */
function jumpTarget(bytes: Uint8Array, at: Address): Address | undefined {
  if (bytes[0] !== JMP || bytes.length < JUMP_SIZE) return undefined;
  return addressAt(at, JUMP_SIZE + new DataView(bytes.buffer, bytes.byteOffset).getInt32(1, true));
}

/**
 * Lines of the list: `ffffffff81234567  k  vfs_read+0x10    [OPTIMIZED]`. One at an ftrace entry works through
 * ftrace, and one that is disabled or gone has written nothing.
 */
export function parseKprobes(list: string, kernel: Kernel): readonly TextPatch[] {
  if (list === '') return [];
  const pages = kernel.named('kprobe_optinsn_page', '__builtin__kprobes').map(({ address }) => address);
  return list.split('\n').flatMap((line): TextPatch[] => {
    const [, digits, place] = /^([0-9a-f]{16})\s+[kr]\s+(\S+)/.exec(line) ?? [];
    if (digits === undefined || /\[(FTRACE|DISABLED|GONE)\]/.test(line)) return [];
    const at = toAddress(BigInt(`0x${digits}`));
    const common = { at, kind: 'kprobe', owner: `the kprobe at ${place}` } as const;
    if (!line.includes('[OPTIMIZED]')) return [{ ...common, size: 1, isLegal: ([byte]) => byte === INT3 }];
    const isLegal = (bytes: Uint8Array): boolean => {
      const target = jumpTarget(bytes, at);
      return target !== undefined && pages.some((page) => target >= page && target < page + PAGE_SIZE);
    };
    return [{ ...common, size: JUMP_SIZE, isLegal }];
  });
}

function readKprobes(): string {
  try {
    return readFileSync(KPROBES, 'latin1');
  } catch {
    // No kprobes, or no debugfs: what one has written will be a mismatch, and its cause is guessed right.
    return '';
  }
}

/** Places of all kprobes that are armed, for people: `vfs_read+0x10`. */
export function listKprobes(list: string = readKprobes()): readonly string[] {
  return list.split('\n').flatMap((line) => {
    const place = /^[0-9a-f]{16}\s+[kr]\s+(\S+)/.exec(line)?.[1];
    return place === undefined || /\[(DISABLED|GONE)\]/.test(line) ? [] : [place];
  });
}

/** Kprobes anywhere in these functions, for people: `the kprobe at vfs_read+0x10`. Those at their entries do not count. */
export function kprobesIn(functions: readonly string[], list: string = readKprobes()): readonly string[] {
  return list.split('\n').flatMap((line) => {
    const [, place = '', name = ''] = /^[0-9a-f]{16}\s+[kr]\s+((\S+)\+0x\S+)/.exec(line) ?? [];
    return functions.includes(name) && !/\[(FTRACE|DISABLED|GONE)\]/.test(line)
      ? [`the kprobe at ${place}`]
      : [];
  });
}

function goesInto(module: LoadedModule, target: Address | undefined): boolean {
  return target !== undefined && target >= module.base && target < module.base + BigInt(module.size);
}

function siteOf(
  kernel: Kernel,
  module: LoadedModule,
  start: Address,
  site: { readonly offset: number; readonly size: number },
): Address | undefined {
  const at = addressAt(start, site.offset);
  const bytes = readIfMapped(kernel, at, site.size);
  return bytes !== undefined && goesInto(module, jumpTarget(bytes, at)) ? at : undefined;
}

/** Where a function is that an update replaced: in its target, or in the module of an update below. */
function oldFunctions(
  kernel: Kernel,
  target: string,
  name: string,
  owner: string | undefined,
): readonly KernelSymbol[] {
  if (owner === undefined) return kernel.named(name, target === VMLINUX ? undefined : target);
  const module = updateModule(owner);
  return kernel.named(`${name}.${module}`, module);
}

function jumpsOf(id: string, kernel: Kernel): readonly TextPatch[] {
  const module = kernel.modules().find(({ name }) => name === updateModule(id));
  const units = readRecord(id)?.manifest.units ?? [];
  if (module === undefined) return [];
  return units.flatMap(({ target, functions }) =>
    functions.flatMap(({ preName, owner, site }) =>
      oldFunctions(kernel, target, preName, owner).flatMap(({ address }): TextPatch[] => {
        const at = siteOf(kernel, module, address, site);
        if (at === undefined) return [];
        const isLegal = (bytes: Uint8Array): boolean =>
          goesInto(module, jumpTarget(bytes, at)) && isNopSequence(bytes.subarray(JUMP_SIZE));
        return [{ at, size: site.size, kind: 'update', owner: `the update ${id}`, isLegal }];
      }),
    ),
  );
}

/** All of them, as they are now. */
export function textPatches(kernel: Kernel): readonly TextPatch[] {
  const ids = isCoreLoaded() ? listEntries() : [];
  const applied = ids.filter((id) => hasEntry(id) && stageOf(id) === 'applied');
  return [
    ...parseKprobes(readKprobes(), kernel),
    ...livepatchedEntries(kernel),
    ...applied.flatMap((id) => jumpsOf(id, kernel)),
  ];
}
