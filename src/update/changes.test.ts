import { describe, expect, it } from 'vitest';
import { sampleChanges, sampleUpdate } from '../../test/support/sample-update.ts';
import { encodeChanges, parseUpdateChanges } from './changes.ts';
import { readUpdate } from './read-update.ts';
import { writeUpdate } from './write-update.ts';

const FILE = 'x.ksplice';
const UNITS = sampleChanges.units.map(({ path }) => path);
const text = new TextDecoder().decode(encodeChanges(sampleChanges, FILE));

function parse(changed: string): unknown {
  return parseUpdateChanges(new TextEncoder().encode(changed), UNITS, FILE);
}

describe('changes.json', () => {
  it('is read as it was written', () => {
    expect(parse(text)).toEqual(sampleChanges);
  });

  it.each([
    ['a field that is not known', text.replace('"notes":', '"more":1,"notes":'), /changes\.json.*not known/],
    [
      'another order of fields',
      text.replace(/"notes":\[[^\]]*\],(.*)\}\n$/s, '$1,"notes":[]}\n'),
      /another spelling/,
    ],
    ['other units than the manifest', text.replace('fs/pipe.o","patched', 'fs/pape.o","patched'), /units/],
    ['text that draws on a terminal', text.replace('bytes differ', '\\u001b[31m'), /printable/],
    [
      'a severity that would have refused',
      text.replace('"severity":"note"', '"severity":"error"'),
      /severity/,
    ],
    ['rows of lines that are cut', text.replace('"rows":[0,0,3]', '"rows":[0,0]'), /three numbers/],
    ['what is no JSON', '{', /JSON in UTF-8/],
  ])('with %s is refused', (_, changed, message) => {
    expect(changed).not.toBe(text);
    expect(() => parse(changed)).toThrow(message);
    expect(() => parse(changed)).toThrow(/^x\.ksplice: /);
  });

  it('is part of the file, and an update without it is read too', async () => {
    const whole = readUpdate(await writeUpdate(sampleUpdate()), FILE);
    expect(whole.manifest.changes?.size).toBe(text.length);
    expect(whole.changes).toEqual(encodeChanges(sampleChanges, FILE));
    const without = readUpdate(await writeUpdate(sampleUpdate({ changes: undefined })), FILE);
    expect([without.changes, without.manifest.changes]).toEqual([undefined, undefined]);
    expect(without.digest).not.toBe(whole.digest);
  });
});
