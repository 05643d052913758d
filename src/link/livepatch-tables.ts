/**
 * What the stub for the kernel's livepatch is told beside the tables of the update (core/stub/livepatch.h), as an object to
 * be linked behind the replacement code.
 */
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { TableBuilder } from './table-builder.ts';

/** What livepatch calls an object: the kernel proper, or a module. */
export interface LivepatchObject {
  /** `vmlinux`, or the module's name. */
  readonly name: string;
  /** How many of the update's functions are its own: those of the first object come first, and so on. */
  readonly functions: number;
}

export interface LivepatchTables {
  readonly objects: readonly LivepatchObject[];
  /** For each function, in their order: from 1, which of the symbols of its name it is; 0 if it is the only one. */
  readonly positions: readonly number[];
  /** Modules that must be where matching saw them, and stay; base 0 for wherever they are. */
  readonly pins: readonly { readonly name: string; readonly base: bigint }[];
  /** What holds of a module that was linked at rest. */
  readonly atRest?: {
    /** `uname -r` and `uname -v` of the only kernel that takes it. */
    readonly release: string;
    readonly version: string;
    /** Name under which the key is asked for that has to be NULL, if one has to. */
    readonly preemption: string | undefined;
  };
}

const OBJECT_SIZE = 16;
const PIN_SIZE = 16;

function count(builder: TableBuilder, name: string, value: number): void {
  const at = builder.align();
  builder.u32(value);
  builder.define(name, at);
}

/** Object that defines the stub's ksplice_livepatch_* symbols. */
export function livepatchTables({ objects, positions, pins, atRest }: LivepatchTables): ObjectFile {
  const builder = new TableBuilder();
  const names = objects.map(({ name }) => (name === VMLINUX ? undefined : builder.string(name)));
  const objectsAt = builder.align();
  objects.forEach(({ functions }, i) => {
    const name = names[i];
    if (name === undefined) builder.u64(0n);
    else builder.pointer(name);
    builder.u32(functions);
    builder.u32(0);
  });
  if (builder.align() - objectsAt !== objects.length * OBJECT_SIZE) {
    throw new RangeError('struct ksplice_livepatch_object');
  }
  builder.define('ksplice_livepatch_objects', objectsAt);
  count(builder, 'ksplice_livepatch_nr_objects', objects.length);

  const positionsAt = builder.align();
  for (const position of positions) builder.u32(position);
  builder.define('ksplice_livepatch_positions', positionsAt);

  const pinNames = pins.map(({ name }) => builder.string(name));
  const pinsAt = builder.align();
  pins.forEach(({ base }, i) => {
    builder.pointer(pinNames[i] ?? 0);
    builder.u64(base);
  });
  if (builder.align() - pinsAt !== pins.length * PIN_SIZE) {
    throw new RangeError('struct ksplice_livepatch_pin');
  }
  builder.define('ksplice_livepatch_pins', pinsAt);
  count(builder, 'ksplice_livepatch_nr_pins', pins.length);

  const keyAt = builder.align();
  if (atRest?.preemption === undefined) builder.u64(0n);
  else builder.pointerTo(atRest.preemption);
  builder.define('ksplice_livepatch_preemption', keyAt);
  builder.define('ksplice_livepatch_release', builder.string(atRest?.release ?? ''));
  builder.define('ksplice_livepatch_version', builder.string(atRest?.version ?? ''));
  return readObject(builder.finish('ksplice_livepatch_code_end'), 'livepatch tables');
}
