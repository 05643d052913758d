import { describe, expect, it } from 'vitest';
import type { LayoutPair, MemberLayout, TypeLayout } from '../elf/type-layouts.ts';
import { typeChanges } from './type-changes.ts';

function member(path: string, byte: number, bytes: number, kind = 'number', text = 'int'): MemberLayout {
  return { path, bitOffset: byte * 8, bitSize: bytes * 8, kind, text };
}

function layout(name: string, size: number, members: readonly MemberLayout[]): TypeLayout {
  return { name, file: 'net/peer.h', line: 12, size, members, enumerators: [] };
}

function pair(pre: TypeLayout, post: TypeLayout): LayoutPair {
  return { name: pre.name, pre: [pre], post: [post] };
}

function states(names: readonly string[]): TypeLayout {
  const enumerators = names.map((name, value) => ({ name, value }));
  return { ...layout('enum state', 4, []), enumerators };
}

const peer = layout('struct peer', 16, [
  member('id', 0, 4),
  member('next', 8, 8, 'pointer', 'struct peer *'),
]);

const variable = (kind: string, bytes: number): TypeLayout =>
  layout('variable limit', bytes, [member('limit', 0, bytes, kind, kind)]);

function signature(...kinds: readonly string[]): TypeLayout {
  return layout('function peer_find', 0, [
    ...kinds.map((kind, i) => member(`parameter ${i + 1}`, i * 8, 8, kind, kind)),
    member('the result', 0, 8, 'pointer to struct peer', 'struct peer *'),
  ]);
}

/** What is said of a function, where the unit exports one of this name. */
function found(pre: TypeLayout, post: TypeLayout, exported = 'peer_find'): readonly string[] {
  const told = typeChanges('net/peer.o', [pair(pre, post)], new Set([exported]));
  return told.map(({ code, message }) => `${code} ${message}`);
}

describe('typeChanges', () => {
  it('names type, place, member and both offsets', () => {
    const post = layout('struct peer', 24, [
      member('id', 0, 4),
      member('flags', 8, 8, 'number', 'u64'),
      member('next', 16, 8, 'pointer', 'struct peer *'),
    ]);
    expect(typeChanges('net/peer.o', [pair(peer, post)])).toEqual([
      {
        code: 'type_layout_changed',
        severity: 'error',
        message:
          'net/peer.h:12: struct peer: the layout changes: flags (u64) is new, at byte 8; ' +
          'next is at byte 16, before at byte 8; size 24 bytes, before 16',
        location: { unit: 'net/peer.o', symbol: 'struct peer' },
        hint: expect.stringContaining('leave the type as it is'),
      },
    ]);
  });

  it.each([
    ['fills a hole', [...peer.members, member('more', 4, 4)], 'more (int) is new, at byte 4'],
    ['is gone', peer.members.slice(1), 'id (int) is gone, before at byte 0'],
    ['is wider', [member('id', 0, 8), ...peer.members.slice(1)], 'id has 8 bytes, before 4 bytes'],
    [
      'is another kind',
      [member('id', 0, 4, 'float', 'float'), ...peer.members.slice(1)],
      'id is float, before int',
    ],
    [
      'is a bit-field now',
      [{ ...member('id', 0, 4), bitSize: 3, bitOffset: 5 }, ...peer.members.slice(1)],
      'id has 3 bits, before 4 bytes; id is at byte 0, bit 5, before at byte 0',
    ],
  ])('refuses a member that %s, though the size is the same', (_, members, words) => {
    const [found] = typeChanges('x.o', [pair(peer, layout('struct peer', 16, members))]);
    expect(found).toMatchObject({ severity: 'error' });
    expect(found?.message).toContain(words);
  });

  it('tells of the type that changes, not of those that hold it', () => {
    const bigger = layout('struct peer', 24, [...peer.members, member('age', 16, 8)]);
    const hold = (size: number, at: number): TypeLayout =>
      layout('struct table', at + 4, [member('peers', 0, size, 'struct peer[2]'), member('count', at, 4)]);
    const found = typeChanges('x.o', [pair(hold(32, 32), hold(48, 48)), pair(peer, bigger)]);
    expect(found.map(({ location }) => location?.symbol)).toEqual(['struct peer']);
    // With a change of its own it is told, too.
    const own = layout('struct table', 56, [...hold(48, 48).members, member('limit', 52, 4)]);
    expect(typeChanges('x.o', [pair(hold(32, 32), own), pair(peer, bigger)])).toHaveLength(2);
  });

  it('tells of a structure that moves while nothing in it changes', () => {
    const swapped = layout('struct peer', 16, [
      member('next', 0, 8, 'pointer', 'struct peer *'),
      member('id', 8, 4),
    ]);
    const [found] = typeChanges('x.o', [pair(peer, swapped)]);
    expect(found?.message).toContain(
      'next is at byte 0, before at byte 8; id is at byte 8, before at byte 0',
    );
  });

  it('warns of a member that has another name and lies at the same place', () => {
    const renamed = layout('struct peer', 16, [member('key', 0, 4), ...peer.members.slice(1)]);
    expect(typeChanges('x.o', [pair(peer, renamed)])).toMatchObject([
      { code: 'member_renamed', severity: 'warning', message: expect.stringContaining('key was id') },
    ]);
  });

  it('shows four differences and counts the others', () => {
    const many = Array.from({ length: 7 }, (_, i) => member(`m${i}`, 16 + i * 4, 4));
    const [found] = typeChanges('x.o', [pair(peer, layout('struct peer', 44, [...peer.members, ...many]))]);
    expect(found?.message).toContain('m3 (int) is new, at byte 28; and 4 more');
  });

  it('warns of values of an enumeration, and not of one that is only longer', () => {
    const before = states(['IDLE', 'BUSY']);
    expect(typeChanges('x.o', [pair(before, states(['IDLE', 'BUSY', 'DEAD']))])).toEqual([]);
    expect(typeChanges('x.o', [pair(before, states(['IDLE', 'NEW', 'BUSY']))])).toMatchObject([
      {
        code: 'enum_value_changed',
        severity: 'warning',
        message: expect.stringContaining('BUSY is 2, before 1'),
      },
    ]);
  });

  it('refuses what it cannot tell apart: two types of one name', () => {
    const other = layout('struct peer', 4, [member('x', 0, 4)]);
    const wider = layout('struct peer', 8, [member('x', 0, 8)]);
    const found = typeChanges('x.o', [{ name: 'struct peer', pre: [peer, other], post: [wider] }]);
    expect(found).toMatchObject([{ severity: 'error', message: expect.stringContaining('several types') }]);
  });

  it('tells of what moves in a type that holds one in which only a name changes', () => {
    const renamed = layout('struct peer', 16, [member('key', 0, 4), ...peer.members.slice(1)]);
    const hold = (first: string, second: string): TypeLayout =>
      layout('struct table', 24, [
        member('peer', 0, 16, 'struct peer'),
        member(first, 16, 4),
        member(second, 20, 4),
      ]);
    const found = typeChanges('x.o', [pair(hold('low', 'high'), hold('high', 'low')), pair(peer, renamed)]);
    expect(found.map(({ code }) => code)).toEqual(['type_layout_changed', 'member_renamed']);
  });

  it('leaves a variable of another size to the comparison of data', () => {
    expect(typeChanges('x.o', [pair(variable('number', 4), variable('number[2]', 8))])).toEqual([]);
    expect(typeChanges('x.o', [pair(variable('number', 8), variable('pointer', 8))])).toMatchObject([
      {
        severity: 'error',
        message: expect.stringContaining('variable limit: the layout changes: limit is pointer'),
      },
    ]);
  });

  it('warns of a type that seems to take the place of another', () => {
    const other = layout('struct neighbour', 24, [...peer.members, member('age', 16, 8)]);
    expect(typeChanges('x.o', [pair(peer, other)])).toMatchObject([
      { code: 'type_replaced', severity: 'warning', message: expect.stringContaining('of struct peer') },
    ]);
    expect(typeChanges('x.o', [pair(peer, { ...peer, name: 'struct neighbour' })])).toEqual([]);
  });

  it('does not take what lies behind a pointer for a member at the same offset', () => {
    const behind = layout('struct peer', 16, [member('id->key', 0, 4), ...peer.members.slice(1)]);
    expect(typeChanges('x.o', [pair(peer, behind)])).toMatchObject([{ code: 'type_layout_changed' }]);
  });

  describe('of functions', () => {
    it('refuses an exported one that is called otherwise', () => {
      expect(found(signature('number'), signature('number', 'number'))).toEqual([
        'export_type_changed net/peer.h:12: function peer_find: is exported, and is called otherwise after the patch: ' +
          'parameter 2 (number) is new',
      ]);
      expect(found(signature('number', 'number'), signature('number'))[0]).toContain(
        'parameter 2 (number) is gone',
      );
      expect(found(signature('pointer to struct a'), signature('pointer to struct b'))[0]).toContain(
        'parameter 1 is pointer to struct b, before pointer to struct a',
      );
    });

    it('says nothing of one that is not exported: who calls it is compiled with the patch', () => {
      expect(found(signature('number'), signature('number', 'number'), 'another')).toEqual([]);
    });
  });
});
