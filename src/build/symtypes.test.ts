import { describe, expect, it } from 'vitest';
import { changedTypes, parseSymtypes } from './symtypes.ts';

const types = (...lines: readonly string[]): ReturnType<typeof parseSymtypes> =>
  parseSymtypes(`${lines.join(' \n')} \n`);

const before = types(
  't#u64 typedef unsigned long long u64',
  's#entry struct entry { s#entry * next ; t#u64 value ; s#owner * owner ; }',
  's#owner struct owner { UNKNOWN }',
  's#other struct other { int x ; }',
  'find s#entry * find ( t#u64 )',
  'drop void drop ( s#owner * )',
  'count int count ( void )',
);

describe('types of an export', () => {
  it('are the same, also where one refers to itself', () => {
    expect(changedTypes('find', before, before)).toEqual([]);
  });

  it('tell which one has another text, and where', () => {
    const after = new Map(before);
    after.set('s#entry', 'struct entry { s#entry * next ; long long value ; s#owner * owner ; }'.split(' '));
    expect(changedTypes('find', before, after)).toEqual([
      { name: 'struct entry', before: '; typedef u64 value', after: '; long long value' },
    ]);
    // What it does not reach does not concern it.
    expect(changedTypes('count', before, after)).toEqual([]);
  });

  it("tell another declaration of the export's own", () => {
    const after = new Map(before).set('count', 'unsigned int count ( void )'.split(' '));
    expect(changedTypes('count', before, after)).toEqual([
      { name: 'count', before: 'int', after: 'unsigned int' },
    ]);
  });

  it('are the same where one has become known, or is not any more', () => {
    const after = new Map(before).set('s#owner', 'struct owner { s#other * other ; }'.split(' '));
    expect(changedTypes('drop', before, after)).toEqual([]);
    expect(changedTypes('drop', after, before)).toEqual([]);
  });

  it('include those that only a type reaches that has become known', () => {
    const after = new Map(before)
      .set('s#owner', 'struct owner { s#other * other ; }'.split(' '))
      .set('s#other', 'struct other { long x ; }'.split(' '));
    expect(changedTypes('drop', before, after)).toEqual([
      { name: 'struct other', before: '{ int x', after: '{ long x' },
    ]);
  });
});
