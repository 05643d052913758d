/**
 * What an update is, in its module: for a module that comes to a machine by itself, without its update file.
 *
 * A note section of a loaded module is a file, /sys/module/NAME/notes/.note.ksplice, for as long as the module is there. It
 * is a list of entries (gABI, "Note Section"): sizes of name and contents, a type, the name, the contents, each filled up
 * to four bytes.
 */
import { FormatError } from '../diagnostics/error.ts';

/** The section of the module. */
export const NOTE_SECTION = '.note.ksplice';
const NAME = Buffer.from('ksplice\0', 'latin1');
const MANIFEST = 1;
const SIGNATURE = 2;
const HEADER_SIZE = 12;

export interface ModuleNote {
  /** manifest.json, as in the update file. */
  readonly manifest: Uint8Array;
  /** The member `signature`, if the update has one. */
  readonly signature: Uint8Array | undefined;
}

function aligned(size: number): number {
  return (size + 3) & ~3;
}

function entry(type: number, contents: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(HEADER_SIZE + NAME.length + aligned(contents.length));
  bytes.writeUInt32LE(NAME.length, 0);
  bytes.writeUInt32LE(contents.length, 4);
  bytes.writeUInt32LE(type, 8);
  bytes.set(NAME, HEADER_SIZE);
  bytes.set(contents, HEADER_SIZE + NAME.length);
  return bytes;
}

export function encodeModuleNote({ manifest, signature }: ModuleNote): Uint8Array {
  const entries = signature === undefined ? [] : [entry(SIGNATURE, signature)];
  return Buffer.concat([entry(MANIFEST, manifest), ...entries]);
}

/** Reads the contents of a note section. `file` is for messages. Throws FormatError `malformed_object`. */
export function parseModuleNote(bytes: Uint8Array, file: string): ModuleNote {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, Uint8Array>();
  for (let at = 0; at < bytes.length; ) {
    const rest = bytes.length - at - HEADER_SIZE;
    const [nameSize, size] = rest < 0 ? [0, 0] : [view.getUint32(at, true), view.getUint32(at + 4, true)];
    const start = at + HEADER_SIZE + aligned(nameSize);
    const name = bytes.subarray(at + HEADER_SIZE, at + HEADER_SIZE + nameSize);
    if (rest < 0 || !NAME.equals(name) || start + aligned(size) > bytes.length) {
      throw new FormatError('malformed_object', `${file}: not the note of an update's module, at ${at}`);
    }
    found.set(view.getUint32(at + 8, true), bytes.subarray(start, start + size));
    at = start + aligned(size);
  }
  const manifest = found.get(MANIFEST);
  if (manifest === undefined) {
    throw new FormatError('malformed_object', `${file}: a note without the manifest of an update`);
  }
  return { manifest, signature: found.get(SIGNATURE) };
}
