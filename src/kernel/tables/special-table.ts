/**
 * A special section is a table about code or data that somebody other than the C language reads: the
 * boot code that rewrites instructions, the exception handler, the unwinder, ftrace, the module loader.
 *
 * Three passes need the same facts about them. Differencing asks which entries belong to a function, so
 * that a changed entry makes the function changed. Extraction asks which entries must accompany a
 * function into a module, and which would do harm there (a second set of syscall events, an export that
 * the kernel already has). Matching asks which bytes of the text the kernel may have rewritten. So each
 * table is described once, as data; a file a section, with its layout and the reason for its treatment.
 *
 * An entry belongs to the code that its owner field names. That field, like every reference in a
 * table, is filled by a relocation, so entries are read from relocations and never from addresses.
 */

/** What a field of an entry holds. */
export type FieldMeaning =
  /** The code that the entry is about. */
  | 'owner'
  /** Another place in the text: a fixup, a branch target. */
  | 'code'
  /** A piece of `.altinstr_replacement`. */
  | 'replacement'
  /** An object: a key, a file name, a descriptor. */
  | 'reference'
  /** A number that changes what the kernel does. */
  | 'value'
  /** A source line: it changes whenever a line is added above, and means nothing. */
  | 'line'
  | 'padding';

export interface TableField {
  readonly name: string;
  /** Offset in the entry, in bytes. */
  readonly offset: number;
  readonly length: number;
  readonly meaning: FieldMeaning;
}

/**
 * What becomes of an entry when replacement code is extracted.
 * - `keep`: it goes with the code it belongs to, and only then.
 * - `with-entry`: it has no entries of its own; pieces go with the entry of another table that names them.
 * - `drop`: never copied.
 */
export type Extraction = 'keep' | 'with-entry' | 'drop';

/**
 * What a difference between pre and post in this table means.
 * - `function`: the function that owns the entry is changed.
 * - `ignore`: nothing: it follows from other changes, or only build tools read it.
 * - `refuse`: an effect of the patch would be lost, since the kernel reads this table at boot or link
 *   time only; the author has to say what to do (a hook).
 */
export type OnChange = 'function' | 'ignore' | 'refuse';

export interface SpecialTable {
  /** Section name, or what it starts with if `prefix`. */
  readonly section: string;
  readonly prefix: boolean;
  /** Size of an entry in bytes; undefined if the section is not an array of equal entries. */
  readonly entrySize: number | undefined;
  readonly fields: readonly TableField[];
  readonly extraction: Extraction;
  readonly onChange: OnChange;
  /** The reason for `extraction`, in words that can stand in a message. */
  readonly why: string;
}

/** Field that names the code which an entry of this table is about; undefined if there is none. */
export function ownerField(table: SpecialTable): TableField | undefined {
  return table.fields.find((field) => field.meaning === 'owner');
}
