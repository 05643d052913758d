import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sampleUpdate } from '../../test/support/sample-update.ts';
import type { UpdateUnit } from '../update/update.ts';

const roots = vi.hoisted(() => ({ all: '' }));
vi.mock('./paths.ts', () => ({
  get SYSFS_ROOT(): string {
    return path.join(roots.all, 'sys');
  },
  get RUN_ROOT(): string {
    return path.join(roots.all, 'run');
  },
  get MODULES_ROOT(): string {
    return path.join(roots.all, 'modules');
  },
}));
const { checkCoreTakesLists, checkCount, checkTogether } = await import('./check-together.ts');
const { undoUpdates } = await import('./undo.ts');

beforeEach(() => {
  roots.all = mkdtempSync(path.join(tmpdir(), 'ksplice-together-'));
});
afterEach(() => {
  rmSync(roots.all, { recursive: true, force: true });
});

/** A core of this interface, with these updates applied. */
function pretendCore(version: number, applied: readonly string[] = []): void {
  const root = path.join(roots.all, 'sys');
  mkdirSync(root);
  writeFileSync(path.join(root, 'interface'), `${version}\n`);
  writeFileSync(path.join(root, 'control'), '');
  for (const id of applied) {
    mkdirSync(path.join(root, id));
    writeFileSync(path.join(root, id, 'stage'), 'applied\n');
  }
}

const [unit] = sampleUpdate().units;
const first = unit?.functions[0];
if (unit === undefined || first === undefined) throw new Error('the sample has no function');

/** The sample's first unit, in this place, with these functions of it replaced. */
const replacing = (
  names: readonly string[],
  place: { readonly path?: string; readonly target?: string } = {},
): UpdateUnit => ({ ...unit, ...place, functions: names.map((preName) => ({ ...first, preName })) });

/** An update of one function, by name and number. */
const many = (count: number): UpdateUnit =>
  replacing(Array.from({ length: count }, (_, index) => `function_${index}`));

describe('checkTogether', () => {
  it('lets updates of different functions pass, and those of one name in different places', () => {
    checkTogether([]);
    checkTogether([
      { id: 'a', units: [replacing(['open', 'read'])] },
      { id: 'b', units: [replacing(['write'])] },
      { id: 'c', units: [replacing(['open'], { path: 'fs/elsewhere.o' })] },
      { id: 'd', units: [replacing(['open'], { target: 'another' })] },
    ]);
  });

  it('lets an update pass that replaces what the one below has brought, by its owner', () => {
    const upper = { ...unit, functions: [{ ...first, preName: 'open', owner: 'a' }] };
    checkTogether([
      { id: 'a', units: [replacing(['open'])] },
      { id: 'b', units: [upper] },
    ]);
  });

  it('refuses two that replace the same function, and names all three: module_busy', () => {
    const list = [
      { id: 'a', units: [replacing(['open'])] },
      { id: 'b', units: [replacing(['close'])] },
      { id: 'c', units: [replacing(['read', 'open'])] },
    ];
    expect(() => checkTogether(list)).toThrow(
      expect.objectContaining({
        code: 'module_busy',
        exitCode: 5,
        message: 'c: a, given before it, replaces open, too',
        hint: expect.stringMatching(/create c again on top of/),
        details: { id: 'c', other: 'a', function: 'open' },
      }),
    );
  });

  it.for([
    ['updates', 64, 65],
    ['functions', 10_000, 10_001],
  ] as const)('takes as many %s as the core does, %i, and refuses %i: usage', ([what, most, more]) => {
    const list = (count: number): Parameters<typeof checkTogether>[0] =>
      what === 'updates'
        ? Array.from({ length: count }, (_, index) => ({ id: `u${index}`, units: [] }))
        : [
            { id: 'a', units: [many(1)] },
            {
              id: 'b',
              units: [
                replacing(
                  many(count)
                    .functions.slice(1)
                    .map(({ preName }) => preName),
                ),
              ],
            },
          ];
    checkTogether(list(most));
    expect(() => checkTogether(list(more))).toThrow(
      expect.objectContaining({
        code: 'usage',
        exitCode: 64,
        message: expect.stringMatching(new RegExp(`^${more} ${what}.*at most ${most} in one command$`)),
      }),
    );
  });

  it('has the bounds that the core has', () => {
    const header = readFileSync(new URL('../../core/core.h', import.meta.url), 'utf8');
    expect(header).toMatch(/^#define KSPLICE_LIST_MAX\s+64$/m);
    expect(header).toMatch(/^#define KSPLICE_FUNCTIONS_MAX\s+10000$/m);
    checkCount(64);
    expect(() => checkCount(65)).toThrow(/65 updates/);
  });
});

describe('a core that takes no lists', () => {
  it('is asked only where there is a list', () => {
    // There is no core at all.
    checkCoreTakesLists([], 'apply');
    checkCoreTakesLists(['a'], 'undo');
  });

  it.for([
    ['apply', /each by a command of its own: b, a$/],
    ['undo', /ksplice undo b && ksplice undo a$/],
  ] as const)('is told by its interface, and what works is said: %s', ([verb, hint]) => {
    pretendCore(3);
    expect(() => checkCoreTakesLists(['b', 'a'], verb)).toThrow(
      expect.objectContaining({
        code: 'core_incompatible',
        exitCode: 69,
        message: expect.stringMatching(/the core has interface 3, and takes one update at a time/),
        hint: expect.stringMatching(hint),
        details: { ids: ['b', 'a'], interface: 3, needed: 4 },
      }),
    );
  });

  it('is any other than one of the interface that this version has', () => {
    pretendCore(4);
    checkCoreTakesLists(['a', 'b'], 'apply');
  });

  it('is asked for nothing when several updates are to be undone: all stay applied', async () => {
    pretendCore(3, ['a', 'b']);
    const nothing = (): never => {
      throw new Error('a step of undo was begun');
    };
    await expect(undoUpdates(['b', 'a'], nothing)).rejects.toMatchObject({ code: 'core_incompatible' });
    expect(readFileSync(path.join(roots.all, 'sys', 'control'), 'latin1')).toBe('');
    for (const id of ['a', 'b']) {
      expect(readFileSync(path.join(roots.all, 'sys', id, 'stage'), 'latin1')).toBe('applied\n');
    }
    expect(readdirSync(roots.all)).toEqual(['sys']);
  });
});
