import type { ObjectImage } from '../elf/image.ts';
import type { Hook } from './unit-change.ts';

/**
 * The replacement object of a unit.
 *
 * The symbols of what is new under a global name are global: another unit of the update may refer to it. Every other one
 * that it defines is local; an undefined one stands for something in the kernel or in such a unit. Local ones come first,
 * so that position p in `object.symbols` or `object.sections` is index p + 1 in the file. So a replaced function `foo` may occur twice: local `foo` is the new copy, undefined `foo` is the original,
 * whose address is what anybody outside knows (a stored pointer stays valid after undo, a comparison true).
 */
export interface Replacement {
  readonly object: ObjectImage;
  readonly functions: readonly ReplacementFunction[];
  /** Functions for the core to call; they are among `functions`. */
  readonly hooks: readonly Hook[];
  /** New objects and copies of constant ones; strings have no names. */
  readonly data: readonly ReplacementData[];
  /** One for each undefined symbol. */
  readonly references: readonly ReplacementReference[];
  /**
   * Relocations against undefined symbols that are direct calls and jumps: these may go to the new copy if
   * another unit of the update replaces that function. All others must go to the original.
   */
  readonly directBranches: readonly RelocationPlace[];
  readonly escapes: Escapes;
  /** Names outside the unit whose address is taken, and by which function or object. */
  readonly addressesTaken: ReadonlyMap<string, string>;
}

export interface ReplacementFunction {
  /** Name in the object. */
  readonly name: string;
  /** Name in pre of the function that it replaces; undefined for a new one. */
  readonly preName: string | undefined;
  readonly scope: 'global' | 'unit';
  /** Other names of the function in pre. */
  readonly aliases: readonly string[];
  /** Position in `object.symbols`. */
  readonly symbol: number;
  /** For a cold part: name of the function that it belongs to. */
  readonly coldOf: string | undefined;
}

export interface ReplacementData {
  readonly name: string;
  readonly scope: 'global' | 'unit';
  /** Position in `object.symbols`. */
  readonly symbol: number;
  readonly size: number;
  /** The changed or nameless constant of pre that it stands for, if any. */
  readonly copyOf: string | undefined;
}

export interface ReplacementReference {
  /** Name of the undefined symbol. */
  readonly symbol: string;
  /** What it is called in pre, and in the kernel; the same as `symbol`. */
  readonly preName: string;
  /** Position in `object.symbols`. */
  readonly position: number;
  /** `unit`: a static of this unit, to be found in the unit; `global`: by name anywhere. */
  readonly scope: 'unit' | 'global';
  readonly kind: 'function' | 'object' | 'unknown';
  readonly weak: boolean;
  /** Where it lies in the sectioned pre object, if this unit defines it. */
  readonly pre: PreIdentity | undefined;
}

export interface PreIdentity {
  readonly name: string;
  /** Name without the compiler's numbers: `__already_done` for `__already_done.12`. */
  readonly base: string;
  readonly sectionName: string;
  /** Offset of the symbol in that section, in bytes. */
  readonly offset: number;
  readonly size: number;
  /** Source functions and objects of pre that refer to it, sorted. */
  readonly owners: readonly string[];
}

/** A relocation of `object`. */
export interface RelocationPlace {
  /** Position in `object.sections`. */
  readonly section: number;
  readonly offset: number;
}

/** Whether an address inside the update's module may be kept by somebody after an undo. */
export interface Escapes {
  readonly escapes: boolean;
  /** `foo: address of new function bar at +0x1f` */
  readonly reasons: readonly string[];
}
