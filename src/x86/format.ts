import { hex, hexBytes } from '../diagnostics/hex.ts';
import type { Decoder } from './decoder.ts';
import type { Instruction } from './instruction.ts';

export interface FormatOptions {
  /** A name for an address, `ip_options_compile+0x1f`: of the instructions and of what they refer to. */
  readonly symbolise?: (address: bigint) => string | undefined;
  /** Offset in the code: the instruction that holds it is marked with `>`. */
  readonly around?: number;
  /** How many instructions to show before and after the marked one; all of them if left out. */
  readonly context?: number;
}

/**
 * A disassembly for people, one line an instruction, in the syntax of objdump:
 *
 *       ip_options_compile+0x1a:  e8 00 00 00 00  call 0xffffffff81000000 <__fentry__>
 *     > ip_options_compile+0x1f:  0f 1f 44 00 00  nopl 0x0(%rax,%rax)
 *
 * The code must start with an instruction; `address` is that of its first byte.
 */
export function formatInstructions(
  decoder: Decoder,
  code: Uint8Array,
  address: bigint,
  options: FormatOptions = {},
): readonly string[] {
  const { symbolise = () => undefined, around, context } = options;
  const all = decoder.decodeAll(code, address);
  const marked = around === undefined ? -1 : all.findIndex((instruction) => holds(instruction, around));
  const shown =
    marked < 0 || context === undefined
      ? all
      : all.slice(Math.max(0, marked - context), marked + context + 1);

  const texts = decoder.textOf(shown);
  const rows = shown.map((instruction, i) => ({
    mark: instruction === all[marked] ? '> ' : '  ',
    place: `${symbolise(instruction.address) ?? hex(instruction.address)}:`,
    bytes: hexBytes(instruction.bytes),
    text: (texts[i] ?? '') + reference(instruction, symbolise),
  }));
  const placeWidth = Math.max(0, ...rows.map(({ place }) => place.length));
  const bytesWidth = Math.max(0, ...rows.map(({ bytes }) => bytes.length));
  return rows.map(
    ({ mark, place, bytes, text }) =>
      `${mark}${place.padEnd(placeWidth)}  ${bytes.padEnd(bytesWidth)}  ${text}`,
  );
}

function holds({ offset, length }: Instruction, place: number): boolean {
  return offset <= place && place < offset + length;
}

/** What the instruction refers to, as objdump shows it: ` <name>` of a branch, `# 0x...` of data. */
function reference(instruction: Instruction, symbolise: (address: bigint) => string | undefined): string {
  const { ipRelative, target } = instruction;
  if (target !== undefined) {
    const name = symbolise(target);
    return name === undefined ? '' : ` <${name}>`;
  }
  if (ipRelative === undefined) return '';
  const name = symbolise(ipRelative);
  return `  # ${hex(ipRelative)}${name === undefined ? '' : ` <${name}>`}`;
}
