import { InternalError } from '../diagnostics/error.ts';
import { hex } from '../diagnostics/hex.ts';

const JMP_REL32 = 0xe9;
const CALL_REL32 = 0xe8;

/** `jmp to`, 5 bytes for the address `from`. Throws InternalError if it does not reach. */
export function jmpRel32(from: bigint, to: bigint): Uint8Array {
  return branch(JMP_REL32, 'jmp', from, to);
}

/** `call to`, 5 bytes for the address `from`. Throws InternalError if it does not reach. */
export function callRel32(from: bigint, to: bigint): Uint8Array {
  return branch(CALL_REL32, 'call', from, to);
}

/** Whether a 32-bit displacement that ends an instruction at `end` reaches `to`. */
export function reachesRel32(end: bigint, to: bigint): boolean {
  const distance = to - end;
  return distance >= -0x8000_0000n && distance <= 0x7fff_ffffn;
}

/**
 * Target of the `jmp rel32`, `call rel32` or `jcc rel32` that the bytes begin with; `address` is theirs.
 * Undefined for any other instruction, and for a part of one.
 */
export function readRel32Target(bytes: Uint8Array, address: bigint): bigint | undefined {
  const [first = 0, second = 0] = bytes;
  let opcode = 0;
  if (first === JMP_REL32 || first === CALL_REL32) opcode = 1;
  else if (first === 0x0f && (second & 0xf0) === 0x80) opcode = 2; // jcc
  if (opcode === 0 || bytes.length < opcode + 4) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + opcode, 4);
  return BigInt.asUintN(64, address + BigInt(opcode + 4) + BigInt(view.getInt32(0, true)));
}

function branch(opcode: number, name: string, from: bigint, to: bigint): Uint8Array {
  const end = from + 5n;
  if (!reachesRel32(end, to)) {
    throw new InternalError(
      'unexpected',
      `${name} at ${hex(from)} does not reach ${hex(to)}: the distance ${hex(to - end)} needs more than 32 bits`,
    );
  }
  const bytes = Uint8Array.of(opcode, 0, 0, 0, 0); // e9/e8 rel32
  new DataView(bytes.buffer).setInt32(1, Number(to - end), true);
  return bytes;
}
