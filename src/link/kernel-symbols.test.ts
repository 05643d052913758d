import { describe, expect, it } from 'vitest';
import { buildObject } from '../../test/support/elf-builder.ts';
import { FakeKernel } from '../../test/support/fake-kernel.ts';
import { MatchError } from '../diagnostics/error.ts';
import { toAddress } from '../kernel/address.ts';
import { scopeOf } from '../kernel/symbol-scope.ts';
import type { UnitMatch } from '../match/match-unit.ts';
import { addressInUnit, anyAddress, globalAddress, globalInUnit, uniqueAddress } from './kernel-symbols.ts';

const A = 0xffffffff81001000n;
const B = 0xffffffff81002000n;
const C = 0xffffffffc0a00000n;

type Line = readonly [address: bigint, type: string, module?: string];

/** What each rule makes of the lines of kallsyms for one name. */
function rules(...lines: readonly Line[]): readonly (string | undefined)[] {
  const kernel = new FakeKernel();
  for (const [address, type, module] of lines) kernel.define('name', address, type, module);
  return [globalAddress, uniqueAddress, anyAddress].map((rule) => {
    try {
      return rule(kernel, 'user.o', 'name').toString(16);
    } catch (error) {
      if (!(error instanceof MatchError) || error.code !== 'failed_to_find') throw error;
      return undefined;
    }
  });
}

const [a, b] = [A.toString(16), B.toString(16)];

describe('rules by name', () => {
  it.each<readonly [string, readonly Line[], readonly (string | undefined)[]]>([
    //                                                            global, unique, any
    ['nothing', [], [undefined, undefined, undefined]],
    ['one global', [[A, 'T']], [a, a, a]],
    ['one static', [[A, 't']], [undefined, a, a]],
    ['one weak', [[A, 'W']], [a, a, a]],
    ['one weak, by its other letter', [[A, 'w']], [a, a, a]],
    [
      'a global and a static',
      [
        [A, 't'],
        [B, 'T'],
      ],
      [b, undefined, b],
    ],
    [
      'two statics',
      [
        [A, 't'],
        [B, 't'],
      ],
      [undefined, undefined, undefined],
    ],
    [
      'two globals',
      [
        [A, 'T'],
        [B, 'D'],
      ],
      [undefined, undefined, undefined],
    ],
    [
      'the same address twice',
      [
        [A, 'T'],
        [A, 'T'],
      ],
      [a, a, a],
    ],
    [
      'a module has the name, too',
      [
        [A, 'T'],
        [C, 'T', 'veth'],
      ],
      [a, a, a],
    ],
    ['only a module has the name', [[C, 'T', 'veth']], [undefined, undefined, undefined]],
  ])('%s', (_, lines, expected) => {
    expect(rules(...lines)).toEqual(expected);
  });

  it('the error names user, name and number', () => {
    const kernel = new FakeKernel();
    kernel.define('show', A, 't');
    kernel.define('show', B, 't');
    expect(() => uniqueAddress(kernel, 'fs/a.o', 'show')).toThrow(
      'fs/a.o: kallsyms has 2 symbols named show, expected one',
    );
    expect(() => globalAddress(kernel, 'fs/a.o', 'absent')).toThrow(/has no symbol named absent/);
  });
});

describe('in a matched unit', () => {
  const object = buildObject(
    {
      sections: { '.text': { bytes: [0xc3, 0xc3] }, '.data': { bytes: [1, 2, 3, 4] }, '.bss': { size: 8 } },
      symbols: {
        show: { section: '.text', value: 1, type: 'func', size: 1 },
        table: { section: '.data', value: 2, type: 'object', size: 2 },
        state: { section: '.bss', value: 4, type: 'object', size: 4 },
        printk: { binding: 'global' },
      },
    },
    'fs/a.o',
  );
  const section = (name: string): (typeof object.sections)[number]['index'] => {
    const found = object.sections.find((each) => each.name === name);
    if (found === undefined) throw new Error(name);
    return found.index;
  };
  const unit: Omit<UnitMatch, 'scope'> = {
    kind: 'match',
    mode: 'strict',
    object,
    target: 'vmlinux',
    text: new Map(),
    patches: [],
    bases: new Map([
      [section('.text'), toAddress(A)],
      [section('.data'), toAddress(B)],
    ]),
    values: new Map([['printk', toAddress(0xffffffff81e00000n)]]),
    explained: new Map(),
    choices: new Map(),
    compared: 2,
  };
  const matchedWith = (kernel: FakeKernel, target = 'vmlinux'): UnitMatch => ({
    ...unit,
    target,
    scope: scopeOf(kernel, target),
  });

  it("a module's own global that it does not export has a small letter in a running kernel, and is found", () => {
    const kernel = new FakeKernel();
    const inModule = matchedWith(kernel, 'btrfs');
    kernel.define('__SCT__tp_func_x', C, 't', 'btrfs');
    expect(globalInUnit(inModule, '__SCT__tp_func_x', false)).toBe(C);
    // A static of the module, or the kernel's? The letters do not tell.
    kernel.define('__SCT__tp_func_x', A, 'T');
    expect(() => globalInUnit(inModule, '__SCT__tp_func_x', false)).toThrow(/2 symbols named/);
    // Exported: its own goes first.
    kernel.define('both', C, 'T', 'btrfs');
    kernel.define('both', A, 'T');
    expect(globalInUnit(inModule, 'both', false)).toBe(C);
    // Built-in code is listed with its binding.
    kernel.define('local', A, 't');
    expect(() => globalInUnit(matchedWith(kernel), 'local', false)).toThrow(MatchError);
  });

  it("another module's symbol is found if that exports it, whatever its letter is", () => {
    const kernel = new FakeKernel();
    const inModule = matchedWith(kernel, 'nft_ct');
    const find = (name: string): bigint => globalInUnit(inModule, name, false);
    kernel.define('nf_ct_expect_put', C, 't', 'nf_conntrack');
    expect(() => find('nf_ct_expect_put')).toThrow(/has no symbol named nf_ct_expect_put/);
    // EXPORT_SYMBOL_GPL: a small letter. A static of the same name in the module that exports it is another one.
    kernel.exported('nf_ct_expect_find', C + 0x10n, C + 0x1000n, 'nf_conntrack');
    kernel.define('nf_ct_expect_find', C + 0x20n, 't', 'nf_conntrack');
    kernel.define('nf_ct_expect_find', C + 0x30n, 't', 'nf_tables');
    expect(find('nf_ct_expect_find')).toBe(C + 0x10n);
    // The kernel's own goes first, as the loader looks for it; built-in code sees no module at all.
    kernel.define('nf_ct_expect_find', A, 'T');
    expect(find('nf_ct_expect_find')).toBe(A);
    kernel.exported('only_there', C, C + 0x2000n, 'nf_conntrack', 'T');
    expect(find('only_there')).toBe(C);
    expect(() => globalInUnit(matchedWith(kernel), 'only_there', false)).toThrow(MatchError);
    // Two at once cannot be loaded, so a list that has them is not understood.
    kernel.exported('only_there', C + 0x40n, C + 0x3000n, 'nf_tables', 'T');
    expect(() => find('only_there')).toThrow(/2 symbols named only_there/);
  });

  it('the variable of a CPU that a module exports is an offset', () => {
    const kernel = new FakeKernel();
    kernel.exported('counters', 0x34040n, C, 'other', 'a');
    expect(globalInUnit(matchedWith(kernel, 'nft_ct'), 'counters', false)).toBe(0x34040n);
  });

  it('a static is where its section is, whatever else has its name', () => {
    const kernel = new FakeKernel();
    kernel.define('show', B, 't');
    kernel.define('table', A, 'd');
    expect(addressInUnit(matchedWith(kernel), 'show')).toBe(A + 1n);
    expect(addressInUnit(matchedWith(kernel), 'table')).toBe(B + 2n);
  });

  it('a static in a section that no code showed goes by its name, if that is unique', () => {
    const kernel = new FakeKernel();
    kernel.define('state', B, 'b');
    expect(addressInUnit(matchedWith(kernel), 'state')).toBe(B);
    kernel.define('state', A, 'b');
    expect(() => addressInUnit(matchedWith(kernel), 'state')).toThrow(/2 symbols named state/);
  });

  it('refuses a name that the unit does not define, or defines twice', () => {
    const kernel = new FakeKernel();
    kernel.define('printk', A);
    expect(() => addressInUnit(matchedWith(kernel), 'printk')).toThrow(/fs\/a\.o: 0 symbols named printk/);
    const twice = object.symbols.flatMap((each) => (each.name === 'show' ? [each, each] : [each]));
    const ambiguous = { ...matchedWith(kernel), object: { ...object, symbols: twice } };
    expect(() => addressInUnit(ambiguous, 'show')).toThrow(/fs\/a\.o: 2 symbols named show/);
  });

  it('a global name is what the code showed, else the only global one', () => {
    const kernel = new FakeKernel();
    kernel.define('printk', A);
    kernel.define('panic', B);
    expect(globalInUnit(matchedWith(kernel), 'printk', false)).toBe(0xffffffff81e00000n);
    expect(globalInUnit(matchedWith(kernel), 'panic', false)).toBe(B);
    expect(() => globalInUnit(matchedWith(kernel), 'absent', false)).toThrow(MatchError);
  });

  it('a weak reference to what the kernel does not have is to address 0', () => {
    const kernel = new FakeKernel();
    kernel.define('panic', B);
    expect(globalInUnit(matchedWith(kernel), 'absent', true)).toBe(0n);
    expect(globalInUnit(matchedWith(kernel), 'panic', true)).toBe(B);
    kernel.define('twice', A, 't');
    kernel.define('twice', B, 't');
    expect(() => globalInUnit(matchedWith(kernel), 'twice', true)).toThrow(MatchError);
  });
});
