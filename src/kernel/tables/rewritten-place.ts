/**
 * A place in a unit's sections whose bytes the running kernel may have replaced, with what is needed to
 * enumerate its legal contents. Offsets and lengths are in bytes.
 */
import type { Relocation, SectionIndex, SymbolIndex } from '../../elf/model.ts';
import type { CodeTarget } from './code-target.ts';

interface Place {
  readonly section: SectionIndex;
  readonly offset: number;
  readonly length: number;
}

/** What kind of branch the object has at the place; `jcc` is the two-byte opcode `0f 80+cc`. */
export type BranchForm = 'call' | 'jmp' | 'jcc';

/** `call __fentry__`: a nop, or a call to ftrace or a trampoline of its. Five bytes. */
export interface FentryPlace extends Place {
  readonly kind: 'fentry';
}

/** `jmp __x86_return_thunk`: a plain return and padding, or a jump to the thunk of this machine. */
export interface ReturnPlace extends Place {
  readonly kind: 'return';
}

/** A branch to `__x86_indirect_thunk_REG`: 5 bytes, 6 with a CS prefix or as `jcc`. */
export interface RetpolinePlace extends Place {
  readonly kind: 'retpoline';
  readonly form: BranchForm;
  /** Condition code 0-15 of a `jcc`. */
  readonly condition: number | undefined;
  /** Number of the register, 0 (rax) to 15 (r15). */
  readonly register: number;
}

/**
 * One entry of `.altinstructions`. Several may name the same place: they come in table order, in which
 * the kernel applies them, so the last one whose condition holds is what is found.
 */
export interface AlternativePlace extends Place {
  readonly kind: 'alternative';
  /** Feature bit, without the negation flag. */
  readonly feature: number;
  /** Applies if the feature is absent. */
  readonly negated: boolean;
  readonly replacement: {
    /** At most `length` bytes; the kernel fills the rest with nops. */
    readonly bytes: Uint8Array;
    /** Relocations of these bytes; offsets count from the first byte of `bytes`. */
    readonly relocations: readonly Relocation[];
    /** Where the piece lies in `.altinstr_replacement`. */
    readonly at: CodeTarget;
  };
}

/** A call through pv_ops: also a direct call, or the operation's own few instructions, then nops. */
export interface ParavirtPlace extends Place {
  readonly kind: 'paravirt';
  /** Index of the operation in pv_ops, in pointers. */
  readonly type: number;
}

/** A lock prefix: 0xf0, or 0x3e on a machine with one CPU. One byte. */
export interface SmpLockPlace extends Place {
  readonly kind: 'smp-lock';
}

/** A static branch: a nop, or a jump to `target`. Two or five bytes. */
export interface JumpLabelPlace extends Place {
  readonly kind: 'jump-label';
  readonly target: CodeTarget;
  /** How the table names the target. */
  readonly targetReference: { readonly symbol: SymbolIndex; readonly addend: number };
  /** The `struct static_key`: symbol + addend, flag bits taken off. */
  readonly key: { readonly symbol: SymbolIndex; readonly addend: number };
  /** The code is laid out for the key being true: the place is a jump iff key differs from this. */
  readonly branch: boolean;
  /** Number of the entry in `__jump_table`. */
  readonly entry: number;
}

/** A call or tail jump that goes where its key says at the moment; a nop or a return if nowhere. */
export interface StaticCallPlace extends Place {
  readonly kind: 'static-call';
  readonly form: BranchForm;
  readonly tail: boolean;
  /** `__SCK__name`, or `__SCT__name` in a module that may not see the key. */
  readonly key: SymbolIndex;
  /** Number of the entry in `.static_call_sites`. */
  readonly entry: number;
}

/** First five bytes of a trampoline `__SCT__name`: a jump to where the key says, or a return. */
export interface StaticCallTrampolinePlace extends Place {
  readonly kind: 'static-call-trampoline';
  /** The trampoline's symbol. */
  readonly symbol: SymbolIndex;
}

/** An `endbr64` that IBT kernels overwrite with a poison nop. Four bytes. */
export interface EndbrPlace extends Place {
  readonly kind: 'endbr';
}

export type RewrittenPlace =
  | FentryPlace
  | ReturnPlace
  | RetpolinePlace
  | AlternativePlace
  | ParavirtPlace
  | SmpLockPlace
  | JumpLabelPlace
  | StaticCallPlace
  | StaticCallTrampolinePlace
  | EndbrPlace;
