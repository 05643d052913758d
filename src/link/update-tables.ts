/**
 * The tables that an update module hands to the core: `struct ksplice_function` and its ranges
 * (core/ksplice.h), as an object to be linked with the replacement code and the stub.
 */
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import type { Address } from '../kernel/address.ts';
import { HOOK_KINDS, type HookKind } from '../kernel/tables/hooks.ts';
import { TableBuilder } from './table-builder.ts';

/** A piece of the old code, as it is in memory. */
export interface OldRange {
  readonly start: Address;
  /** Called at its start; a cold part is not. */
  readonly hasEntry: boolean;
  readonly body: Uint8Array;
  readonly mask: Uint8Array;
}

export interface Trampoline {
  readonly name: string;
  /** Name under which the replacement is asked for when the tables are linked. */
  readonly replacement: string;
  /** The function itself first. */
  readonly ranges: readonly OldRange[];
  /** Name under which the old function is asked for when the tables are linked; its ranges are at known addresses without. */
  readonly old?: string;
  readonly siteOffset: number;
  readonly siteSize: number;
}

export interface HookCall {
  readonly kind: HookKind;
  readonly name: string;
  /** Name under which the function is asked for when the tables are linked. */
  readonly function: string;
}

export interface UpdateTables {
  readonly trampolines: readonly Trampoline[];
  /** Those of one kind in the order in which they are called. */
  readonly hooks: readonly HookCall[];
  /** After an undo the module stays loaded. */
  readonly resident: boolean;
}

/** KSPLICE_RANGE_ENTRY, KSPLICE_UPDATE_RESIDENT. */
const RANGE_ENTRY = 1;
const UPDATE_RESIDENT = 1;
const FUNCTION_SIZE = 40;
const RANGE_SIZE = 32;
const HOOK_SIZE = 24;

/** Returns where the array of ranges starts. */
function addRanges(builder: TableBuilder, { ranges, old }: Trampoline): number {
  const [main] = ranges;
  const contents = ranges.map((range) => ({
    range,
    body: builder.bytes(range.body),
    mask: builder.bytes(range.mask),
  }));
  const at = builder.align();
  for (const { range, body, mask } of contents) {
    if (old === undefined || main === undefined) builder.u64(range.start);
    else builder.pointerTo(old, Number(range.start - main.start));
    builder.u32(range.body.length);
    builder.u32(range.hasEntry ? RANGE_ENTRY : 0);
    builder.pointer(body);
    builder.pointer(mask);
  }
  if (builder.align() - at !== ranges.length * RANGE_SIZE) throw new RangeError('struct ksplice_range');
  return at;
}

/** Returns where the array of hooks starts. */
function addHooks(builder: TableBuilder, hooks: readonly HookCall[]): number {
  const named = hooks.map((hook) => ({ hook, name: builder.string(hook.name) }));
  const at = builder.align();
  for (const { hook, name } of named) {
    builder.u32(HOOK_KINDS.indexOf(hook.kind));
    builder.u32(0);
    builder.pointer(name);
    builder.pointerTo(hook.function);
  }
  if (builder.align() - at !== hooks.length * HOOK_SIZE) throw new RangeError('struct ksplice_hook');
  return at;
}

/** Object that defines the stub's ksplice_update_* symbols. */
export function updateTables(id: string, { trampolines, hooks, resident }: UpdateTables): ObjectFile {
  const builder = new TableBuilder();
  const idAt = builder.string(id);
  builder.define('ksplice_update_id', idAt);
  const prepared = trampolines.map((trampoline) => ({
    trampoline,
    name: builder.string(trampoline.name),
    ranges: addRanges(builder, trampoline),
  }));
  const functionsAt = builder.align();
  for (const { trampoline, name, ranges } of prepared) {
    builder.pointer(name);
    builder.pointerTo(trampoline.replacement);
    builder.pointer(ranges);
    builder.u32(trampoline.ranges.length);
    builder.u32(trampoline.siteOffset);
    builder.u32(trampoline.siteSize);
    builder.u32(0);
  }
  if (builder.align() - functionsAt !== trampolines.length * FUNCTION_SIZE) {
    throw new RangeError('struct ksplice_function');
  }
  builder.define('ksplice_update_functions', functionsAt);
  const countAt = builder.align();
  builder.u32(trampolines.length);
  builder.define('ksplice_update_nr_functions', countAt);
  const hooksAt = addHooks(builder, hooks);
  builder.define('ksplice_update_hooks', hooksAt);
  const hookCountAt = builder.align();
  builder.u32(hooks.length);
  builder.define('ksplice_update_nr_hooks', hookCountAt);
  const flagsAt = builder.align();
  builder.u32(resident ? UPDATE_RESIDENT : 0);
  builder.define('ksplice_update_flags', flagsAt);
  return readObject(builder.finish(), 'update tables');
}
