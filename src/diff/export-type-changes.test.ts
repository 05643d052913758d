import { describe, expect, it } from 'vitest';
import type { ExportCrcChange } from '../build/export-crcs.ts';
import { exportTypeChanges } from './export-type-changes.ts';

const entry = { name: 'struct entry', before: '; int value ;', after: '; unsigned int value ;' };

function change(name: string, types: ExportCrcChange['types'] = [entry]): ExportCrcChange {
  return { name, before: 0x06f578a9, after: 0xfe610edc, types };
}

const none = new Set<string>();

describe('an export whose CRC changes', () => {
  it('is an error with both CRCs, the type, and what can be done', () => {
    const [error, ...rest] = exportTypeChanges('lib/x.o', [change('find')], none);
    expect(rest).toEqual([]);
    expect(error).toMatchObject({ code: 'export_crc_changed', severity: 'error' });
    expect(error?.location).toEqual({ unit: 'lib/x.o', symbol: 'find' });
    expect(error?.message).toBe(
      'lib/x.o: find (CRC 0xfe610edc, before 0x6f578a9) is exported with another type after the patch: ' +
        'struct entry has "; unsigned int value ;", before "; int value ;"',
    );
    expect(error?.hint).toContain('#ifdef __GENKSYMS__');
  });

  it('is told together with others of the same reason', () => {
    const own = { name: 'count', before: 'int count', after: 'long count' };
    const changes = [...['a', 'b', 'c', 'd', 'e'].map((name) => change(name)), change('count', [own])];
    const messages = exportTypeChanges('lib/x.o', changes, none).map(({ message }) => message);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toMatch(
      /^lib\/x\.o: a \(.*\), b \(.*\), c \(.*\), 2 more are exported with other types/,
    );
    expect(messages[1]).toMatch(/^lib\/x\.o: count \(.*\) is exported/);
  });

  it('is not told again where its type or signature is an error already', () => {
    expect(exportTypeChanges('lib/x.o', [change('find')], new Set(['struct entry']))).toEqual([]);
    expect(exportTypeChanges('lib/x.o', [change('find')], new Set(['find']))).toEqual([]);
    expect(exportTypeChanges('lib/x.o', [change('find')], new Set(['struct other']))).toHaveLength(1);
  });

  it('is a note where the unit only knows more of the types', () => {
    expect(exportTypeChanges('lib/x.o', [change('find', [])], none)).toMatchObject([
      { code: 'export_crc_differs', severity: 'note', message: expect.stringContaining('#include') },
    ]);
  });
});
