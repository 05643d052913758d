/** Where control goes after an instruction. */
export type Flow =
  /** To the next instruction only. */
  | 'next'
  /** jmp to `target`. */
  | 'jump'
  /** jcc, loop, jrcxz, xbegin: to `target` or on. */
  | 'conditional'
  /** call of `target`. */
  | 'call'
  /** ret, iret, sysret. */
  | 'return'
  /** jmp through a register or memory. */
  | 'indirect-jump'
  /** call through a register or memory. */
  | 'indirect-call'
  /** int3, int n, ud2, syscall, vmcall: to whoever handles it, who may come back behind it. */
  | 'interrupt'
  /** The bytes are no instruction, or the code ends within one; one byte is taken. */
  | 'invalid';

/** A constant inside an instruction. */
export interface ConstantField {
  /** Bytes from the start of the instruction. */
  readonly offset: number;
  /** Bytes: 1, 2, 4 or 8. */
  readonly size: number;
}

/** A decoded x86-64 instruction: a plain record, which holds no resource. */
export interface Instruction {
  /** Offset in the decoded code, in bytes. */
  readonly offset: number;
  readonly address: bigint;
  /** In bytes, 1 to 15. */
  readonly length: number;
  /** A view of the decoded code. */
  readonly bytes: Uint8Array;
  readonly flow: Flow;
  /** Target of a near branch with a displacement. */
  readonly target?: bigint;
  /** The (first) immediate; for a near branch its displacement. */
  readonly immediate?: ConstantField;
  /** The displacement of a memory operand. */
  readonly displacement?: ConstantField;
  /** The address that a memory operand relative to %rip names. */
  readonly ipRelative?: bigint;
}
