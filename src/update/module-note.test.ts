import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeModuleNote, parseModuleNote } from './module-note.ts';

function written(manifest: Uint8Array, signature: Uint8Array | undefined): Uint8Array {
  return Uint8Array.from(encodeModuleNote({ manifest, signature }));
}

describe('the note of a module', () => {
  it('is read as it was written, whatever the sizes', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(bytes, fc.option(bytes, { nil: undefined }), (manifest, signature) => {
        expect(parseModuleNote(written(manifest, signature), 'note')).toEqual({ manifest, signature });
      }),
    );
  });

  it('is refused where it is cut off, or another one', () => {
    const note = written(Buffer.from('manifest'), Buffer.from('sig'));
    for (let size = 1; size < note.length; size += 1) {
      // Behind the first entry a whole note ends.
      if (size === 28) continue;
      expect(() => parseModuleNote(note.subarray(0, size), 'note'), String(size)).toThrow(
        /^note: not the note/,
      );
    }
    expect(() => parseModuleNote(new Uint8Array(), 'note')).toThrow(/without the manifest/);
    note[12] = 0x4c;
    expect(() => parseModuleNote(note, 'note')).toThrow(/not the note of an update's module, at 0/);
  });
});
