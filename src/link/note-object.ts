import { SHF_ALLOC, SHT_NOTE } from '../elf/constants.ts';
import type { ObjectFile } from '../elf/model.ts';
import { readObject } from '../elf/read-object.ts';
import { writeObject } from '../elf/write-object.ts';
import { encodeModuleNote, type ModuleNote, NOTE_SECTION } from '../update/module-note.ts';

/** What a module says of its update, as an object to be linked into it. */
export function noteObject(note: ModuleNote): ObjectFile {
  const section = {
    name: NOTE_SECTION,
    type: SHT_NOTE,
    flags: SHF_ALLOC,
    alignment: 4,
    entrySize: 0,
    contents: encodeModuleNote(note),
    relocations: [],
  };
  return readObject(writeObject({ sections: [section], symbols: [] }), 'module note');
}
