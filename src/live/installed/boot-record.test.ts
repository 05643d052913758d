import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asksForNone } from './boot-facts.ts';
import {
  heldBy,
  readBootRecord,
  withCrash,
  withEnd,
  withoutHeld,
  withTrying,
  writeBootRecord,
} from './boot-record.ts';

const KERNEL = { release: '6.1', banner: '#1' };
type Named = { readonly id: string; readonly digest: string };
const named = (id: string): Named => ({ id, digest: id.repeat(64) });
const [A, B, C] = [named('a'), named('b'), named('c')];
const NOW = new Date(0);
let root: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'ksplice-boot-'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

/** A first boot with `updates`, which ends so. */
function after(
  end: 'good' | 'stopped' | 'crash',
  updates: readonly Named[],
): ReturnType<typeof readBootRecord> {
  const trying = withTrying(readBootRecord(root), 'one', KERNEL, updates, NOW);
  const ended = end === 'crash' ? trying : withEnd(trying, 'one', end);
  if (ended === undefined) throw new Error('nothing to end');
  writeBootRecord(root, ended);
  return withCrash(readBootRecord(root), 'two');
}

describe('the crash guard', () => {
  it.each(['good', 'stopped'] as const)('holds nothing back after a boot that was %s', (end) => {
    expect(heldBy(after(end, [A, B]), KERNEL, [A, B])).toBeUndefined();
  });

  it('holds back what was applied before a crash, and more than that, on that kernel', () => {
    const record = after('crash', [A, B]);
    expect(heldBy(record, KERNEL, [B, A])).toMatchObject({ updates: [A, B] });
    expect(heldBy(record, KERNEL, [A, B, C])).toBeDefined();
    expect(heldBy(record, { ...KERNEL, banner: '#2' }, [A, B])).toBeUndefined();
  });

  it('lets another set be tried: with less, or with another update of an ID', () => {
    const record = after('crash', [A, B]);
    expect(heldBy(record, KERNEL, [A])).toBeUndefined();
    expect(heldBy(record, KERNEL, [A, { ...B, digest: 'd'.repeat(64) }])).toBeUndefined();
  });

  it('goes on holding back through boots that are good, until it is told otherwise', () => {
    const record = after('crash', [A]);
    writeBootRecord(root, record);
    expect(withCrash(readBootRecord(root), 'three')).toEqual(record);
    expect(heldBy(withoutHeld(record, KERNEL), KERNEL, [A])).toBeUndefined();
    expect(heldBy(withoutHeld(record, { ...KERNEL, release: '6.2' }), KERNEL, [A])).toBeDefined();
  });

  it('takes a boot that goes on after a resume for the same one', () => {
    const trying = withTrying(readBootRecord(root), 'one', KERNEL, [A], NOW);
    expect(withCrash(trying, 'one')).toEqual(trying);
    expect(withTrying(trying, 'one', KERNEL, [B], NOW).last?.set.updates).toEqual([A, B]);
    expect(withEnd(trying, 'two', 'good')).toBeUndefined();
  });

  it('refuses a memory that it cannot read', () => {
    writeBootRecord(root, readBootRecord(root));
    writeFileSync(path.join(root, 'var/lib/ksplice/boot.json'), '{"format":1}');
    expect(() => readBootRecord(root)).toThrow(/not a record of boots/);
  });
});

describe('the word noksplice on the command line', () => {
  it.each([
    ['quiet noksplice root=/dev/vda\n', true],
    ['noksplice', true],
    ['xnoksplice noksplice=0 noksplices', false],
  ])('%j: %s', (line, expected) => {
    expect(asksForNone(line)).toBe(expected);
  });
});
