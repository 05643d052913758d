/**
 * Makes the stub, which was compiled once for a kernel, into the stub of one update: the module's name
 * in struct module and .modinfo, and the table of symbol versions.
 *
 * struct module comes from the kernel's own headers and is never synthesised: 6.1 does not check its
 * size, and a wrong one corrupts memory. Only its name field is written, found by what the compiler
 * put there.
 */
import { FormatError } from '../diagnostics/error.ts';
import { SHF_ALLOC, SHT_PROGBITS } from '../elf/constants.ts';
import { sectionIndex } from '../elf/indices.ts';
import type { ObjectFile, Section } from '../elf/model.ts';

/** MODULE_NAME_LEN, less the closing NUL. */
export const NAME_MAX = 55;
/** struct modversion_info: unsigned long crc; char name[MODULE_NAME_LEN]. */
const VERSION_SIZE = 64;

function modinfoOf(section: Section): readonly string[] {
  return Buffer.from(section.data)
    .toString('latin1')
    .split('\0')
    .filter((line) => line !== '');
}

function compiledName(object: ObjectFile): string {
  const section = object.sections.find((each) => each.name === '.modinfo');
  const line = (section === undefined ? [] : modinfoOf(section)).find((each) => each.startsWith('name='));
  if (line === undefined) {
    throw new FormatError('malformed_object', `${object.path}: .modinfo has no name, expected a module's`);
  }
  return line.slice('name='.length);
}

function renameModule(object: ObjectFile, section: Section, from: string, to: string): Uint8Array {
  const data = Buffer.from(section.data);
  const at = data.indexOf(`${from}\0`, 0, 'latin1');
  if (at === -1) {
    throw new FormatError('malformed_object', `${object.path}: struct module does not hold '${from}'`);
  }
  data.fill(0, at, at + NAME_MAX + 1);
  data.write(to, at, 'latin1');
  return data;
}

function newModinfo(section: Section, name: string, more: readonly string[]): Uint8Array {
  const lines = modinfoOf(section).map((line) => (line.startsWith('name=') ? `name=${name}` : line));
  return Buffer.from([...lines, ...more].map((line) => `${line}\0`).join(''), 'latin1');
}

/**
 * `__versions` must hold module_layout: without it the module is force-loaded, with a taint that
 * tracepoints treat as bad. References bound by address need no entry; those that the loader binds by name do.
 */
function versionsSection(index: number, crcs: ReadonlyMap<string, number>): Section {
  const data = Buffer.alloc(crcs.size * VERSION_SIZE);
  [...crcs].forEach(([name, crc], i) => {
    data.writeBigUInt64LE(BigInt(crc), i * VERSION_SIZE);
    data.write(name, i * VERSION_SIZE + 8, 'latin1');
  });
  return {
    index: sectionIndex(index),
    name: '__versions',
    type: SHT_PROGBITS,
    flags: SHF_ALLOC,
    size: data.length,
    alignment: 8,
    entrySize: 0,
    link: 0,
    info: 0,
    data,
    relocations: [],
  };
}

/** What only a module has that was linked at rest. */
export interface ModuleExtras {
  /** Of the symbols that the loader binds by name: at most 55 characters each. */
  readonly crcs: ReadonlyMap<string, number>;
  /** Lines for .modinfo. */
  readonly modinfo: readonly string[];
}

/**
 * @param name at most 55 characters
 * @param moduleLayoutCrc from Module.symvers; undefined for a kernel without MODVERSIONS
 */
export function nameModule(
  object: ObjectFile,
  name: string,
  moduleLayoutCrc: number | undefined,
  { crcs, modinfo }: ModuleExtras = { crcs: new Map(), modinfo: [] },
): ObjectFile {
  if (name.length > NAME_MAX) throw new FormatError('malformed_object', `module name '${name}' is too long`);
  const from = compiledName(object);
  const sections = object.sections.map((section) => {
    if (section.name === '.modinfo') {
      const data = newModinfo(section, name, modinfo);
      return { ...section, data, size: data.length };
    }
    if (section.name === '.gnu.linkonce.this_module') {
      return { ...section, data: renameModule(object, section, from, name) };
    }
    return section;
  });
  if (moduleLayoutCrc !== undefined) {
    const all = new Map([['module_layout', moduleLayoutCrc], ...crcs]);
    sections.push(versionsSection(sections.length, all));
  }
  return { ...object, sections };
}
