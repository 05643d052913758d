/** References of replacement code from one target of an update to another one. */
import { describe, expect, it } from 'vitest';
import { moduleReferences, type UnitOfTarget } from '../../src/diff/module-references.ts';
import { brief } from './diff-change.ts';
import { diffSources, extract } from './diff-compile.ts';

const EXPORT = (name: string): string =>
  `asm(".pushsection \\"___ksymtab_gpl+${name}\\", \\"a\\"\\n .balign 4\\n .long ${name} - .\\n .popsection\\n"
    ".pushsection __ksymtab_strings, \\"aMS\\", %progbits, 1\\n .asciz \\"${name}\\"\\n .popsection");\n`;
const returning = (name: string, value: number): string =>
  `int ${name}(int x) { return use(x) + ${value}; }\n`;
const helper = returning('helper', 5);
const level = 'int level = 3;\n';
/** A function of its own, before and after. */
const work = (pre: string, post: string): readonly [string, string] => [
  pre + returning('work', 1),
  post + returning('work', 2),
];

function unit(
  target: string,
  [pre, post]: readonly [string, string],
  path = `${target}/unit.o`,
): UnitOfTarget {
  const pair = diffSources(pre, post);
  const replacement =
    pair.change.replaced.length + pair.change.newFunctions.length > 0 ? extract(pair) : undefined;
  return { path, target, pre: pair.pre, post: pair.post, replacement };
}

/** Begins to use a name that some other unit has. */
const user = (target: string, name = 'helper', what = 'helper(x)'): UnitOfTarget =>
  unit(
    target,
    [returning('caller', 1), `int helper(int); extern int level;\nint caller(int x) { return ${what}; }\n`],
    `${target}/${name}-user.o`,
  );

async function codes(
  units: readonly UnitOfTarget[],
  exported: readonly string[] = [],
): Promise<readonly string[]> {
  return (await moduleReferences(units, async () => (name) => exported.includes(name))).map(brief);
}

describe('a reference from a module to what another one brings', () => {
  it('is fine if the patch exports it, a function or an object', async () => {
    const owner = unit('a', work('', helper + EXPORT('helper') + level + EXPORT('level')));
    expect(await codes([owner, user('b'), user('b', 'level', 'level + x')])).toEqual([]);
  });

  it('is refused if it is not exported: the patched source could not be built', async () => {
    const units = [unit('a', work('', helper)), user('b')];
    const [found, ...more] = await moduleReferences(units, async () => () => false);
    expect(more).toEqual([]);
    expect(found).toMatchObject({
      code: 'module_reference',
      severity: 'error',
      message:
        'b/helper-user.o: refers to helper, which a/unit.o of module a does not export: b could not be linked with it',
      hint: expect.stringContaining('export it'),
    });
  });

  it('means something else where the kernel exports such a name, or the unit used it before', async () => {
    const owner = unit('a', work('', helper));
    expect(await codes([owner, user('b')], ['helper'])).toEqual([]);
    const before = 'int helper(int);\nint caller(int x) { return helper(x) + 1; }\n';
    expect(await codes([owner, unit('b', [before, before.replace('1', '2')])])).toEqual([]);
  });

  it('means what is nearer: of its own module, or of the kernel proper', async () => {
    const owner = unit('a', work('', helper));
    for (const nearer of ['b', 'vmlinux']) {
      expect(await codes([owner, unit(nearer, work('', helper)), user('b')])).toEqual([]);
    }
  });

  it('is none of our business within one module', async () => {
    expect(await codes([unit('a', work('', helper)), user('a')])).toEqual([]);
  });
});

describe('a reference from a module to what another one exports since the patch', () => {
  it('is fine if that unit is part of the update', async () => {
    const owner = unit('a', work(helper, helper + EXPORT('helper')));
    expect(await codes([owner, user('b')])).toEqual([]);
  });

  it('is refused if nothing else of that unit changes', async () => {
    const owner = unit('a', [helper, helper + EXPORT('helper')]);
    expect(owner.replacement).toBeUndefined();
    const [found] = await moduleReferences([owner, user('b')], async () => () => false);
    expect(found?.message).toMatch(
      /^b\/helper-user\.o: refers to helper, which a\/unit\.o of module a exports since the patch, .* not found$/,
    );
  });
});

describe('a reference of the kernel proper to what is new in a module', () => {
  it('is refused, exported or not', async () => {
    for (const more of ['', EXPORT('helper')]) {
      const units = [unit('a', work('', helper + more)), user('vmlinux')];
      const [found] = await moduleReferences(units, async () => () => false);
      expect(found).toMatchObject({
        code: 'module_reference',
        message: expect.stringMatching(/the kernel proper cannot be linked with what is in a module$/),
        hint: 'define helper in a file of the kernel proper',
      });
    }
  });

  it('is fine the other way round', async () => {
    expect(await codes([unit('vmlinux', work('', helper)), user('b')])).toEqual([]);
  });
});
