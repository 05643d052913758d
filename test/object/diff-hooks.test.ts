/**
 * Hooks of a patch, with the header that authors include, compiled.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { diffUnit } from '../../src/diff/diff-unit.ts';
import { isEmptyChange } from '../../src/diff/unit-change.ts';
import { differingLayouts, type LayoutPool, readTypeLayouts } from '../../src/elf/type-layouts.ts';
import { HOOK_KINDS } from '../../src/kernel/tables/hooks.ts';
import { compile, diffSources, errorCodes, extract, replacedNames } from './diff-compile.ts';

const header = readFileSync(new URL('../../include/ksplice-patch.h', import.meta.url), 'utf8');

const shadowHeader = readFileSync(new URL('../../include/ksplice-shadow.h', import.meta.url), 'utf8');
/** What the header includes of the kernel. */
const livepatch = `#define __maybe_unused __attribute__((unused))
#define NULL ((void *)0)
typedef unsigned int gfp_t;
void *klp_shadow_get(void *object, unsigned long id);
void *klp_shadow_get_or_alloc(void *object, unsigned long id, unsigned long size, gfp_t gfp, void *make, void *data);
void klp_shadow_free(void *object, unsigned long id, void *unmake);
void klp_shadow_free_all(unsigned long id, void *unmake);
`;

const limit = 'static int limit = 5; void set(int x) { limit = x; }\n';
const base = `${limit}noinline int f(int x) { return use(x) + limit; }\n`;
const other = `${limit}noinline int f(int x) { return use(x) - limit; }\n`;

/** The base with code after it that may name hooks. */
const hooked = (more: string): string => `${header}\n${base}${more}\n`;

const messages = (pre: string, post: string): readonly string[] =>
  diffSources(pre, post).change.diagnostics.map(({ message }) => message);

function returning(kind: string): string {
  return /^(pre|check)_/.test(kind) ? 'int' : 'void';
}

function applyHook(name: string): string {
  return `static void ${name}(void) { limit += use(1); }\nksplice_apply(${name});\n`;
}

const peer = (members: string): string => `struct peer { ${members} };
  noinline int age(struct peer *peer) { return use(0); }`;

describe('hooks', () => {
  it('of all kinds are told, with the functions that only they name', () => {
    const code = HOOK_KINDS.map(
      (kind) =>
        `static ${returning(kind)} on_${kind}(void) { limit++; ${returning(kind) === 'int' ? 'return 0;' : ''} }\n` +
        `ksplice_${kind}(on_${kind});`,
    ).join('\n');
    const pair = diffSources(base, hooked(code));
    expect(pair.change.hooks.map(({ kind, name }) => [kind, name])).toEqual(
      expect.arrayContaining(HOOK_KINDS.map((kind) => [kind, `on_${kind}`])),
    );
    expect(pair.change.hooks).toHaveLength(HOOK_KINDS.length);
    expect(errorCodes(pair)).toEqual([]);
    expect(replacedNames(pair)).toEqual([]);
    expect(isEmptyChange(pair.change)).toBe(false);

    const { written, hooks, functions, escapes } = extract(pair);
    expect(hooks).toEqual(pair.change.hooks);
    expect(functions.map(({ name }) => name)).toEqual(
      expect.arrayContaining(HOOK_KINDS.map((kind) => `on_${kind}`)),
    );
    // The list itself is for the tools, and nobody outside learns an address by it.
    expect(written.sections.some(({ name }) => name.includes('ksplice_call'))).toBe(false);
    expect(escapes.escapes).toBe(false);
  });

  it('of one kind keep the order of the source', () => {
    const { change } = diffSources(base, hooked(['c', 'a', 'b'].map(applyHook).join('')));
    expect(change.hooks.map(({ name }) => name)).toEqual(['c', 'a', 'b']);
  });

  it('have types that the compiler checks', () => {
    const wrong = 'static void look(void) { limit++; }\nksplice_check_apply(look);';
    expect(() => compile(hooked(wrong), ['-Werror=incompatible-pointer-types'])).toThrow(
      /incompatible pointer type/,
    );
  });

  it('are refused where the function is not a new one', () => {
    const pre = `${base}static void old(void) { limit++; }\nvoid g(void) { old(); take(old); }`;
    const post = `${header}\n${pre}\nksplice_apply(old);`;
    expect(errorCodes(diffSources(pre, post))).toEqual(['hook_refused']);
    expect(messages(pre, post)).toContainEqual(
      expect.stringMatching(/old: a ksplice_apply hook has to be a new/),
    );
  });

  it('are refused where the function is thrown away after boot', () => {
    const post = hooked(
      'static __section(".init.text") void early(void) { limit++; }\nksplice_apply(early);',
    );
    expect(errorCodes(diffSources(base, post))).toContain('hook_refused');
  });

  it.each([
    ['pre_apply', 'int', true],
    ['check_apply', 'int', true],
    ['apply', 'void', false],
    ['post_apply', 'void', false],
    ['fail_apply', 'void', true],
    ['pre_reverse', 'int', false],
    ['check_reverse', 'int', false],
    ['reverse', 'void', true],
    ['post_reverse', 'void', true],
    ['fail_reverse', 'void', false],
  ])('of kind %s may not call what is replaced while the old code is in force', (kind, type, refused) => {
    const end = type === 'int' ? 'return 0;' : '';
    const code = `noinline static int by_way(int x) { return f(x) + 1; }
      static ${type} hook(void) { limit = by_way(limit); ${end} }
      ksplice_${kind}(hook);`;
    const post = `${header}\n${other}${code}`;
    expect(errorCodes(diffSources(base, post))).toEqual(refused ? ['hook_refused'] : []);
  });

  it('read what exists in the layout of the old code, though nothing is replaced', () => {
    const hook = `static void reset(void) { limit += age(0); }\nksplice_apply(reset);`;
    const pool: LayoutPool = new Map();
    const [pre, post] = [`${base}${peer('int a; int b;')}`, `${hooked(peer('int b; int a;'))}${hook}`].map(
      (text) => compile(text, ['-g', '-gdwarf-5']),
    );
    if (pre === undefined || post === undefined) throw new Error('two sources');
    const [before, after] = [pre, post].map((object) => readTypeLayouts(object, pool) ?? new Map());
    const pairs = differingLayouts(before ?? new Map(), after ?? new Map());
    const { replaced, diagnostics } = diffUnit(pre, post, { layouts: pairs });
    expect(replaced).toEqual([]);
    expect(diagnostics.map(({ code }) => code)).toEqual(['type_layout_changed']);
    expect(diffUnit(pre, compile(base + peer('int b; int a;')), { layouts: pairs }).diagnostics).toEqual([]);
  });

  it('refuses a kind that it does not know, by the name of its section', () => {
    const code = 'static void odd(void) { limit++; }\n__KSPLICE_HOOK(someday, void, odd);';
    expect(errorCodes(diffSources(base, hooked(code)))).toContain('unknown_section');
  });
});

describe('shadow fields', () => {
  it('are freed by hooks of their own, whether the update is undone or was not applied', () => {
    const fields = `struct peer { int x; };
DEFINE_SHADOW_FIELD(struct peer, long, age);
DEFINE_SHADOW_FIELD(struct peer, long, wish);`;
    const pair = diffSources(
      base,
      `${header}${livepatch}${shadowHeader.replaceAll(/^#include.*$/gm, '')}\n${base}${fields}`,
    );
    expect(pair.change.hooks.map(({ kind, name }) => `${kind} ${name}`).toSorted()).toEqual([
      'fail_apply __age_shadow_free_all',
      'fail_apply __wish_shadow_free_all',
      'post_reverse __age_shadow_free_all',
      'post_reverse __wish_shadow_free_all',
    ]);
    expect(errorCodes(pair)).toEqual([]);
    const { written, escapes } = extract(pair);
    // Two fields are two numbers.
    const ids = written.symbols.filter(({ name }) => name.endsWith('_shadow_id'));
    expect(new Set(ids.map(({ place, value }) => `${place} ${value}`)).size).toBe(2);
    expect(escapes.escapes).toBe(false);
  });
});
