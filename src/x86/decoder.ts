/**
 * Decoding x86-64 into plain records, by iced-x86.
 *
 * iced is Rust compiled to WebAssembly. That has two consequences which end here. Loading it costs over 100 ms of
 * CPU, so it is loaded by whoever needs it, `await loadDecoder()`, and not by an import at the top of a file: most
 * commands never decode. (A dynamic import also survives bundling into one CommonJS file, where `createRequire`
 * would not.) And its objects live in WebAssembly memory that no garbage collector sees, so each must be freed:
 * the decoder makes them, frees them before it returns, and hands out plain records.
 */
import { setFlagsFromString } from 'node:v8';
import type { Decoder as IcedDecoder, Instruction as IcedInstruction } from 'iced-x86';
import type { Flow, Instruction } from './instruction.ts';

type Iced = typeof import('iced-x86');

/** A record that is not handed out yet. */
type Building = { -readonly [K in keyof Instruction]: Instruction[K] };

/** A decoder of 64-bit code. Keeps nothing between calls; there is nothing to close. */
export interface Decoder {
  /**
   * All instructions of the code, one after the other from its first byte; `address` is that byte's.
   * What is no instruction becomes a record of one byte with flow `invalid`.
   */
  decodeAll(code: Uint8Array, address: bigint): readonly Instruction[];

  /** The instruction that starts at `offset`; `address` is that of `code[0]`. */
  instructionAt(code: Uint8Array, offset: number, address: bigint): Instruction;

  /**
   * How many bytes the whole instructions from `start` on take that cover at least `minimum` bytes;
   * undefined if the code ends or stops making sense before.
   */
  boundaryAtOrAfter(code: Uint8Array, start: number, minimum: number): number | undefined;

  /** The instructions as text in AT&T syntax, in order; slow (7 us each), for people only. */
  textOf(instructions: readonly Instruction[]): readonly string[];
}

/**
 * Loads iced-x86; the second time is free.
 *
 * V8 would compile what runs often a second time, better, and swap the code under the running program. On a machine that
 * QEMU emulates (TCG) one load in five then went wrong: a segmentation fault, a value of a wrong type, a process that never
 * ended. With either compiler alone none of 60 did, and the first one's code is no slower for us: most of the time is our own.
 * Only a V8 that has not begun with WebAssembly heeds these flags, and only both together.
 */
export async function loadDecoder(): Promise<Decoder> {
  setFlagsFromString('--no-wasm-dynamic-tiering');
  setFlagsFromString('--no-wasm-tier-up');
  return createDecoder(await import('iced-x86'));
}

function createDecoder(iced: Iced): Decoder {
  const flows = flowTable(iced);
  return {
    decodeAll: (code, address) => walk(iced, flows, code, 0, address, () => true),

    instructionAt: (code, offset, address) => {
      const [instruction] = walk(iced, flows, code, offset, address, () => false);
      if (instruction !== undefined) return instruction;
      const bytes = code.subarray(offset, offset);
      return { offset, address: address + BigInt(offset), length: 0, bytes, flow: 'invalid' };
    },

    boundaryAtOrAfter: (code, start, minimum) => {
      let end = start;
      const instructions = walk(iced, flows, code, start, 0n, (instruction) => {
        end = instruction.offset + instruction.length;
        return end < start + minimum && instruction.flow !== 'invalid';
      });
      const isWhole = instructions.every(({ flow }) => flow !== 'invalid');
      return isWhole && end >= start + minimum ? end - start : undefined;
    },

    textOf: (instructions) => formatAll(iced, instructions),
  };
}

/** Decodes from `start` on, for as long as `goOn` says so of the instruction just decoded. */
function walk(
  iced: Iced,
  flows: ReadonlyMap<number, Flow>,
  code: Uint8Array,
  start: number,
  address: bigint,
  goOn: (instruction: Instruction) => boolean,
): readonly Instruction[] {
  const result: Instruction[] = [];
  const decoder = new iced.Decoder(64, code, iced.DecoderOptions.None);
  const current = new iced.Instruction();
  try {
    let offset = start;
    let inStep = false;
    while (offset < code.length) {
      if (!inStep) {
        decoder.position = offset;
        decoder.ip = address + BigInt(offset);
      }
      decoder.decodeOut(current);
      const instruction = record(iced, flows, decoder, current, code, offset, address);
      result.push(instruction);
      if (!goOn(instruction)) break;
      offset += instruction.length;
      // Over what is no instruction iced went as far as it read.
      inStep = instruction.flow !== 'invalid';
    }
  } finally {
    current.free();
    decoder.free();
  }
  return result;
}

function record(
  iced: Iced,
  flows: ReadonlyMap<number, Flow>,
  decoder: IcedDecoder,
  current: IcedInstruction,
  code: Uint8Array,
  offset: number,
  base: bigint,
): Instruction {
  const address = base + BigInt(offset);
  if (current.isInvalid) {
    return { offset, address, length: 1, bytes: code.subarray(offset, offset + 1), flow: 'invalid' };
  }
  const { length } = current;
  const bytes = code.subarray(offset, offset + length);
  const flow = flowOf(iced, flows, current);
  const instruction: Building = { offset, address, length, bytes, flow };
  if (flow === 'jump' || flow === 'conditional' || flow === 'call')
    instruction.target = current.nearBranchTarget;
  if (current.isIpRelMemoryOperand) instruction.ipRelative = current.ipRelMemoryAddress;
  const constants = decoder.getConstantOffsets(current);
  try {
    if (constants.hasImmediate) {
      instruction.immediate = { offset: constants.immediateOffset, size: constants.immediateSize };
    }
    if (constants.hasDisplacement) {
      instruction.displacement = { offset: constants.displacementOffset, size: constants.displacementSize };
    }
  } finally {
    constants.free();
  }
  return instruction;
}

function flowTable({ FlowControl }: Iced): ReadonlyMap<number, Flow> {
  return new Map<number, Flow>([
    [FlowControl.Next, 'next'],
    [FlowControl.UnconditionalBranch, 'jump'],
    [FlowControl.IndirectBranch, 'indirect-jump'],
    [FlowControl.ConditionalBranch, 'conditional'],
    [FlowControl.Return, 'return'],
    [FlowControl.Call, 'call'],
    [FlowControl.IndirectCall, 'indirect-call'],
    [FlowControl.Interrupt, 'interrupt'],
    [FlowControl.Exception, 'interrupt'],
  ]);
}

/** iced counts syscall and vmcall among the calls, and all three of TSX as one kind. */
function flowOf(iced: Iced, flows: ReadonlyMap<number, Flow>, current: IcedInstruction): Flow {
  const control = current.flowControl;
  if (control === iced.FlowControl.Call) return current.isCallNear ? 'call' : 'interrupt';
  if (control === iced.FlowControl.XbeginXabortXend) {
    return current.mnemonic === iced.Mnemonic.Xbegin ? 'conditional' : 'next';
  }
  return flows.get(control) ?? 'next';
}

function formatAll(iced: Iced, instructions: readonly Instruction[]): readonly string[] {
  const formatter = new iced.Formatter(iced.FormatterSyntax.Gas);
  formatter.uppercaseHex = false;
  formatter.smallHexNumbersInDecimal = false;
  formatter.branchLeadingZeros = false;
  formatter.showZeroDisplacements = true;
  formatter.ripRelativeAddresses = true;
  formatter.gasShowMnemonicSizeSuffix = false;
  try {
    return instructions.map((instruction) => format(iced, formatter, instruction));
  } finally {
    formatter.free();
  }
}

function format(iced: Iced, formatter: InstanceType<Iced['Formatter']>, instruction: Instruction): string {
  if (instruction.flow === 'invalid') return '(bad)';
  const decoder = new iced.Decoder(64, instruction.bytes, iced.DecoderOptions.None);
  try {
    decoder.ip = instruction.address;
    const current = decoder.decode();
    try {
      return formatter.format(current);
    } finally {
      current.free();
    }
  } finally {
    decoder.free();
  }
}
