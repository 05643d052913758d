/**
 * Read-only data of a unit, and what it exports, compared with the kernel's memory.
 *
 * Constants have no names that code would show, but their section is one block, and the code that was matched
 * refers into it. Writable data is located the same way; its contents are the kernel's business.
 */
import { hex, hexBytes } from '../diagnostics/hex.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_MERGE, SHF_WRITE, SHT_PROGBITS } from '../elf/constants.ts';
import type { ObjectFile, Section } from '../elf/model.ts';
import type { Address } from '../kernel/address.ts';
import { type Kernel, readIfMapped } from '../kernel/kernel.ts';
import { exportedNameOf } from '../kernel/module-exports.ts';
import type { SymbolScope } from '../kernel/symbol-scope.ts';
import { classifySection } from '../kernel/tables/classify-section.ts';
import type { LearnedValues } from './learned-values.ts';
import { type SymbolMismatch, symbolMismatch } from './mismatch.ts';
import { compareTemplate } from './variant.ts';

function isReadOnlyData(section: Section): boolean {
  const flags = SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR | SHF_MERGE;
  return (
    section.type === SHT_PROGBITS &&
    section.size > 0 &&
    (section.flags & flags) === SHF_ALLOC &&
    classifySection(section) === 'rodata'
  );
}

function compareAt(
  object: ObjectFile,
  section: Section,
  base: Address,
  kernel: Kernel,
  learned: LearnedValues,
): SymbolMismatch | undefined {
  const { data } = section;
  const run = readIfMapped(kernel, base, data.length);
  if (run === undefined) {
    return symbolMismatch(object.path, section.name, `no memory at ${hex(base)}`, 'its constants');
  }
  const template = { section, from: 0, to: data.length, path: object.path, isData: true };
  const observed = compareTemplate(template, run, 0, base);
  if ('differsAt' in observed) {
    const at = observed.differsAt;
    const datum = object.symbols.findLast(
      ({ place, value, size }) =>
        place === section.index && Number(value) <= at && at < Number(value) + Math.max(size, 1),
    );
    const name =
      datum === undefined || datum.name === ''
        ? `${section.name}+${hex(at)}`
        : `${datum.name}+${hex(at - Number(datum.value))}`;
    const show = (from: Uint8Array): string => hexBytes(from.subarray(at, at + 8));
    return symbolMismatch(object.path, name, show(run), show(data));
  }
  return observed.map((each) => learned.learn(each)).find((each) => each !== undefined);
}

/** Every constant whose place the code has shown; the first difference, if there is one. */
export function compareReadOnlyData(
  object: ObjectFile,
  kernel: Kernel,
  learned: LearnedValues,
): SymbolMismatch | undefined {
  // What one constant refers to may tell where another section lies.
  const waiting = new Set(object.sections.filter(isReadOnlyData));
  for (;;) {
    const [section] = [...waiting].filter(({ index }) => learned.bases.has(index));
    const base = section === undefined ? undefined : learned.bases.get(section.index);
    if (section === undefined || base === undefined) return undefined;
    const mismatch = compareAt(object, section, base, kernel, learned);
    if (mismatch !== undefined) return mismatch;
    waiting.delete(section);
  }
}

/** What EXPORT_SYMBOL made of the unit: each entry by its name, with the symbol and the strings it refers to. */
export function compareExports(
  object: ObjectFile,
  kernel: Kernel,
  scope: SymbolScope,
  learned: LearnedValues,
): SymbolMismatch | undefined {
  for (const symbol of object.symbols) {
    const section = typeof symbol.place === 'number' ? object.sections[symbol.place] : undefined;
    const name = exportedNameOf(symbol.name);
    if (section === undefined || name === undefined) continue;
    const [entry, second] = scope.own(symbol.name);
    if (entry === undefined || second !== undefined) {
      const found = entry === undefined ? 'not exported' : 'exported twice';
      return symbolMismatch(object.path, name, found, 'exported once', 'failed_to_find');
    }
    const mismatch = compareAt(object, section, entry.address, kernel, learned);
    if (mismatch !== undefined) return mismatch;
  }
  return undefined;
}

/** Names that comparing exports looks up. */
export function exportNames(object: ObjectFile): readonly string[] {
  return object.symbols.map(({ name }) => name).filter((name) => exportedNameOf(name) !== undefined);
}
