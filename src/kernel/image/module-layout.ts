/**
 * Where the kernel's loader puts the sections of a module.
 *
 * The core part, which stays, is one block: text, read-only data, data that is read-only after init, writable data, each
 * group from a page on, and in a group the sections in the file's order (layout_sections() in
 * kernel/module/main.c). Behind that the loader keeps the symbols of the core part (layout_symtab()), which
 * count in the size that /proc/modules shows. Sections whose name begins with `.init` are in a second block, which is
 * freed when the module has started. The per-CPU section is in no block but in the reserve of the per-CPU
 * areas. `.modinfo` and `__versions` are read and not kept.
 *
 * Since ac3b43283923 (in 6.4) the groups are separate blocks, in the same order; they are kept together here, which
 * a reader of memory cannot tell from an allocator that happened to do so.
 */
import { FormatError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import { SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_SYMTAB } from '../../elf/constants.ts';
import type { ElfSymbol, ObjectFile, Section, SectionIndex } from '../../elf/model.ts';

export interface ModuleLayout {
  /** Offset from the module's base, of each section of the core part. */
  readonly core: ReadonlyMap<SectionIndex, number>;
  /** Offset from the base of the init part, of each section in it. */
  readonly init: ReadonlyMap<SectionIndex, number>;
  readonly perCpu: Section | undefined;
  /** Bytes up to the end of the core part's sections. */
  readonly sectionsSize: number;
  /** Bytes of the core part with its symbols: the size in /proc/modules. */
  readonly coreSize: number;
  readonly initSize: number;
}

export const PAGE_SIZE = 0x1000;
const PER_CPU_SECTION = '.data..percpu';
const NOT_KEPT: readonly string[] = ['.modinfo', '__versions'];
/** `__ro_after_init` data, and jump labels, which only init code has written to when the module runs. */
const READ_ONLY_AFTER_INIT: readonly string[] = ['.data..ro_after_init', '__jump_table'];
const SYMBOL_SIZE = 24;
/** The largest module of a distribution has 16 MiB. */
const LARGEST_MODULE = 1 << 26;
/** The reserve for modules has 8 KiB (PERCPU_MODULE_RESERVE). */
const LARGEST_PER_CPU = 1 << 20;

function isInit({ name }: Section): boolean {
  return name.startsWith('.init');
}

type Group = 'text' | 'read-only' | 'read-only-after-init' | 'writable';
const GROUPS: readonly Group[] = ['text', 'read-only', 'read-only-after-init', 'writable'];

export function alignUp(value: number, alignment: number): number {
  return alignment <= 1 ? value : Math.ceil(value / alignment) * alignment;
}

/** Lays a module out. Throws FormatError `malformed_object` if it would be too large. */
export function layoutModule(object: ObjectFile): ModuleLayout {
  const perCpu = object.sections.find(
    ({ name, size, flags }) => name === PER_CPU_SECTION && size > 0 && (flags & SHF_ALLOC) !== 0,
  );
  if (perCpu !== undefined) checkSize(object, perCpu, perCpu.size, LARGEST_PER_CPU);
  const kept = object.sections.filter(
    (section) =>
      (section.flags & SHF_ALLOC) !== 0 &&
      section.name !== PER_CPU_SECTION &&
      !NOT_KEPT.includes(section.name),
  );
  const core = layoutBlock(
    object,
    kept.filter((section) => !isInit(section)),
  );
  const init = layoutBlock(object, kept.filter(isInit));
  return {
    core: core.offsets,
    init: init.offsets,
    perCpu,
    sectionsSize: core.size,
    coreSize: alignUp(addSymbols(object, core, perCpu), PAGE_SIZE),
    initSize: alignUp(init.size, PAGE_SIZE),
  };
}

interface Block {
  readonly offsets: ReadonlyMap<SectionIndex, number>;
  readonly size: number;
}

function groupOf(section: Section): Group {
  if ((section.flags & SHF_EXECINSTR) !== 0) return 'text';
  if ((section.flags & SHF_WRITE) === 0) return 'read-only';
  return READ_ONLY_AFTER_INIT.includes(section.name) ? 'read-only-after-init' : 'writable';
}

function layoutBlock(object: ObjectFile, sections: readonly Section[]): Block {
  const offsets = new Map<SectionIndex, number>();
  let size = 0;
  for (const group of GROUPS) {
    for (const section of sections.filter((each) => groupOf(each) === group)) {
      const offset = alignUp(size, section.alignment);
      size = offset + section.size;
      checkSize(object, section, size, LARGEST_MODULE);
      offsets.set(section.index, offset);
    }
    size = alignUp(size, PAGE_SIZE);
  }
  return { offsets, size };
}

function checkSize(object: ObjectFile, section: Section, size: number, limit: number): void {
  if (size <= limit) return;
  throw new FormatError(
    'malformed_object',
    `${object.path}: ${section.name} ends at ${hex(size)} of the module, expected ${hex(limit)} at most`,
    { details: { file: object.path, section: section.name } },
  );
}

/** Where the symbols end that are kept behind the core part: a record, the name and a letter for each. */
function addSymbols(object: ObjectFile, core: Block, perCpu: Section | undefined): number {
  const table = object.sections.find(({ type }) => type === SHT_SYMTAB);
  const kept = object.symbols.filter(
    (symbol) => symbol.index === 0 || isCoreSymbol(symbol, core.offsets, perCpu),
  );
  const names = kept.reduce((sum, { name }) => sum + Buffer.byteLength(name) + 1, 0);
  return alignUp(core.size, table?.alignment ?? 1) + kept.length * (SYMBOL_SIZE + 1) + names;
}

/** Whether the kernel keeps the symbol and shows it in /proc/kallsyms (is_core_symbol(), CONFIG_KALLSYMS_ALL). */
export function isCoreSymbol(
  symbol: ElfSymbol,
  core: ReadonlyMap<SectionIndex, number>,
  perCpu: Section | undefined,
): boolean {
  const { place, name } = symbol;
  return typeof place === 'number' && name !== '' && (core.has(place) || place === perCpu?.index);
}
