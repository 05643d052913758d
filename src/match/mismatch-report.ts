/**
 * A mismatch for a person: function, offset, both disassemblies, and what it probably means.
 */
import { hex, hexBytes } from '../diagnostics/hex.ts';
import { loadDecoder } from '../x86/decoder.ts';
import { formatInstructions } from '../x86/format.ts';
import type { CodeMismatch, Mismatch } from './mismatch.ts';

const INSTRUCTIONS_AROUND = 4;
const PROBE_OPCODE = 0xcc;

export interface MismatchReport {
  /** One line. */
  readonly summary: string;
  readonly cause: string;
  /** Lines of disassembly, of the running kernel and of the source. */
  readonly running: readonly string[];
  readonly source: readonly string[];
}

function likelyCause({ found, offset, place }: CodeMismatch): string {
  if (found[offset] === PROBE_OPCODE) {
    return 'a breakpoint: a kprobe in this function (see /sys/kernel/debug/kprobes/list) has to be removed first';
  }
  if (place !== undefined) {
    return `the kernel rewrites this place (${place}), but none of what it may write there was found`;
  }
  return 'the update was made from another source, configuration or compiler than the running kernel';
}

async function codeReport(mismatch: CodeMismatch): Promise<MismatchReport> {
  const decoder = await loadDecoder();
  const { name, offset, start, found, expected, unit } = mismatch;
  const lines = (code: Uint8Array): readonly string[] =>
    formatInstructions(decoder, code, start, {
      symbolise: (address) => {
        const distance = address - start;
        const inside = distance >= 0n && distance < BigInt(found.length);
        return inside ? `${name}+${hex(distance)}` : undefined;
      },
      around: offset,
      context: INSTRUCTIONS_AROUND,
    });
  const at = (code: Uint8Array): string => hexBytes(code.subarray(offset, offset + 8));
  return {
    summary: `${unit}: ${name}+${hex(offset)}: found ${at(found)} in the running kernel, expected ${at(expected)}`,
    cause: likelyCause(mismatch),
    running: lines(found),
    source: lines(expected),
  };
}

export async function reportMismatch(mismatch: Mismatch): Promise<MismatchReport> {
  if (mismatch.kind === 'code') return codeReport(mismatch);
  const { unit, name, found, expected } = mismatch;
  return {
    summary: `${unit}: ${name}: found ${found} in the running kernel, expected ${expected}`,
    cause: 'the update was made from another source, configuration or compiler than the running kernel',
    running: [],
    source: [],
  };
}
