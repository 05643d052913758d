/**
 * A mismatch for a person: function, offset, both disassemblies, and what it probably means.
 */
import { MatchError } from '../diagnostics/error.ts';
import { hex, hexBytes } from '../diagnostics/hex.ts';
import type { SourceLine } from '../elf/line-table.ts';
import { type Decoder, loadDecoder } from '../x86/decoder.ts';
import { formatInstructions } from '../x86/format.ts';
import { type CodeMismatch, codeOf, type Mismatch } from './mismatch.ts';

const INSTRUCTIONS_AROUND = 4;
const PROBE_OPCODE = 0xcc;

export interface MismatchReport {
  readonly unit: string;
  /** The function, or what else does not match. */
  readonly name: string;
  /** Of the first byte that differs, from where the function starts; undefined where that is none of code. */
  readonly offset: number | undefined;
  /** One line. */
  readonly summary: string;
  readonly cause: string;
  /** Of the source that the update was made from, where the first difference is one of code. */
  readonly line: SourceLine | undefined;
  /** Lines of disassembly, of the kernel and of the source. */
  readonly running: readonly string[];
  readonly source: readonly string[];
}

const SOMETHING_ELSE =
  'the update was made from another source, configuration or compiler than this kernel was built with';

/** The instruction that holds a place, and what is left of its text without numbers. */
function instructionText(
  decoder: Decoder,
  code: Uint8Array,
  start: bigint,
  offset: number,
): { readonly shape: string; readonly isBranch: boolean } | undefined {
  const found = decoder.decodeAll(code, start).find((each) => offset < each.offset + each.bytes.length);
  const [text] = found === undefined ? [] : decoder.textOf([found]);
  if (found === undefined || text === undefined) return undefined;
  return { shape: text.replaceAll(/-?(?:0x[0-9a-f]+|\b\d+\b)/g, 'N'), isBranch: found.flow !== 'next' };
}

function likelyCause(decoder: Decoder, { found, expected, start, offset, place }: CodeMismatch): string {
  if (found[offset] === PROBE_OPCODE) {
    return 'a breakpoint: a kprobe in this function (see /sys/kernel/debug/kprobes/list) has to be removed first';
  }
  if (place !== undefined) {
    return `the kernel rewrites this place (${place}), but none of what it may write there was found`;
  }
  const [run, source] = [found, expected].map((code) => instructionText(decoder, code, start, offset));
  if (run === undefined || source === undefined || run.shape !== source.shape) return SOMETHING_ELSE;
  return run.isBranch
    ? `a branch of another length, so there is other code behind it: ${SOMETHING_ELSE}`
    : `the same instruction with another number: a structure with another layout, or another constant; ${SOMETHING_ELSE}`;
}

function lineText(line: SourceLine | undefined): string {
  return line === undefined ? '' : ` (${line.file}:${line.line})`;
}

async function codeReport(mismatch: CodeMismatch): Promise<MismatchReport> {
  const decoder = await loadDecoder();
  const { name, offset, start, found, expected, unit, line } = mismatch;
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
    unit,
    name,
    offset,
    summary: `${unit}: ${name}+${hex(offset)}${lineText(line)}: found ${at(found)} in the kernel, expected ${at(expected)}`,
    cause: likelyCause(decoder, mismatch),
    line,
    running: lines(found),
    source: lines(expected),
  };
}

export async function reportMismatch(mismatch: Mismatch): Promise<MismatchReport> {
  if (mismatch.kind === 'code') return codeReport(mismatch);
  const { unit, name, found, expected } = mismatch;
  return {
    unit,
    name,
    offset: undefined,
    summary: `${unit}: ${name}: found ${found}, expected ${expected}`,
    cause: SOMETHING_ELSE,
    line: undefined,
    running: [],
    source: [],
  };
}

/** What a program may want to read of it: the `details` of the error. */
export function mismatchDetails(report: MismatchReport): Readonly<Record<string, unknown>> {
  const { unit, name, offset, line, running, source } = report;
  return {
    unit,
    name,
    ...(offset === undefined ? {} : { offset }),
    ...(line === undefined ? {} : { line }),
    running,
    source,
  };
}

/** Why nothing more is done: with function, offset and both disassemblies. */
export async function mismatchError(mismatch: Mismatch): Promise<MatchError> {
  const report = await reportMismatch(mismatch);
  return new MatchError(codeOf(mismatch), report.summary, {
    hint: report.cause,
    details: mismatchDetails(report),
  });
}
