/**
 * Decodes a whole function, for passes that ask about the instruction around a relocation: where it ends
 * (a PC-relative addend counts from there), whether it is a branch, whether it takes an address or uses
 * the memory at it.
 *
 * A linear sweep from the function's start. Compilers put no data into kernel text, so the sweep stays in
 * step; a byte that is no instruction is taken as one of length 1 and marked.
 *
 * iced-x86 hands out wasm objects that must be freed by hand; none leaves this file.
 */
import { type ConstantOffsets, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic } from 'iced-x86';

/** A direct near branch: `call`, an unconditional jump, or a conditional one (`loop`, `jrcxz`, `xbegin` too). */
export type NearBranch = 'call' | 'jmp' | 'jcc';

export interface TextInstruction {
  /** From the start of the decoded bytes. */
  readonly offset: number;
  readonly length: number;
  readonly branch: NearBranch | undefined;
  /** Where the branch goes as the bytes stand, from the start of the decoded bytes; may lie outside. */
  readonly target: number | undefined;
  /** Takes the address of its memory operand only. */
  readonly lea: boolean;
  /** Place that a memory operand relative to %rip names as the bytes stand, from the start of the decoded bytes. */
  readonly memory: number | undefined;
  /** Control does not go on behind it: ret, jmp, ud2, int3. */
  readonly ends: boolean;
  /** Offset of the displacement from the instruction's start; undefined if there is none. */
  readonly displacement: number | undefined;
  /** Offset of the immediate (for a branch: its distance) from the instruction's start. */
  readonly immediate: number | undefined;
  readonly valid: boolean;
}

function branchKind(flow: FlowControl): NearBranch | undefined {
  if (flow === FlowControl.Call) return 'call';
  if (flow === FlowControl.UnconditionalBranch) return 'jmp';
  if (flow === FlowControl.ConditionalBranch || flow === FlowControl.XbeginXabortXend) return 'jcc';
  return undefined;
}

/** int3 goes on only for whoever has put it there; as part of the code it is a trap. */
function isEnd(instruction: Instruction): boolean {
  const flow = instruction.flowControl;
  return (
    flow === FlowControl.Return ||
    flow === FlowControl.UnconditionalBranch ||
    flow === FlowControl.IndirectBranch ||
    flow === FlowControl.Exception ||
    instruction.mnemonic === Mnemonic.Int3
  );
}

function describe(instruction: Instruction, offset: number, constants: ConstantOffsets): TextInstruction {
  // xabort and xend share a flow class with xbegin but go nowhere.
  const goesSomewhere =
    instruction.mnemonic !== Mnemonic.Xabort &&
    instruction.mnemonic !== Mnemonic.Xend &&
    !instruction.isInvalid;
  const branch = goesSomewhere && constants.hasImmediate ? branchKind(instruction.flowControl) : undefined;
  return {
    offset,
    length: Math.max(instruction.length, 1),
    branch,
    target: branch === undefined ? undefined : Number(BigInt.asIntN(64, instruction.nearBranchTarget)),
    lea: instruction.mnemonic === Mnemonic.Lea,
    memory: instruction.isIpRelMemoryOperand
      ? Number(BigInt.asIntN(64, instruction.ipRelMemoryAddress))
      : undefined,
    ends: isEnd(instruction),
    displacement: constants.hasDisplacement ? constants.displacementOffset : undefined,
    immediate: constants.hasImmediate ? constants.immediateOffset : undefined,
    valid: !instruction.isInvalid,
  };
}

/** All instructions of a piece of 64-bit text, in order, without a gap. */
export function decodeText(bytes: Uint8Array): readonly TextInstruction[] {
  const decoder = new Decoder(64, bytes, DecoderOptions.None);
  const instruction = new Instruction();
  const found: TextInstruction[] = [];
  try {
    decoder.ip = 0n;
    while (decoder.canDecode) {
      const offset = decoder.position;
      decoder.decodeOut(instruction);
      const constants = decoder.getConstantOffsets(instruction);
      const described = describe(instruction, offset, constants);
      constants.free();
      found.push(described);
      if (!described.valid) {
        // Resynchronise one byte on, wherever the decoder gave up.
        decoder.position = offset + 1;
        decoder.ip = BigInt(offset + 1);
        found[found.length - 1] = { ...described, length: 1 };
      }
    }
  } finally {
    instruction.free();
    decoder.free();
  }
  return found;
}

/** The instruction that covers an offset. `instructions` as `decodeText` gives them. */
export function instructionAt(
  instructions: readonly TextInstruction[],
  offset: number,
): TextInstruction | undefined {
  let low = 0;
  let high = instructions.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const each = instructions[middle];
    if (each === undefined) return undefined;
    if (offset < each.offset) high = middle - 1;
    else if (offset >= each.offset + each.length) low = middle + 1;
    else return each;
  }
  return undefined;
}
