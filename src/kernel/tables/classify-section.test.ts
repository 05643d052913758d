import { describe, expect, it } from 'vitest';
import { buildObject } from '../../../test/support/elf-builder.ts';
import { classifySection } from './classify-section.ts';
import { tableOf } from './table-of.ts';

const A = 2;
const AX = 6;
const WA = 3;
const AM = 0x12;
const AMS = 0x32;

function classOf(name: string, flags: number, type = 1): string {
  const bits = type === 8 ? { size: 8 } : { bytes: [0, 0, 0, 0] };
  const object = buildObject({ sections: { [name]: { ...bits, flags, type } } });
  const section = object.sections.find((each) => each.name === name);
  return section === undefined ? '' : classifySection(section);
}

describe('classifySection', () => {
  it.each([
    ['.text', AX, 'text'],
    ['.text.tcp_ack', AX, 'text'],
    ['.text.unlikely.tcp_ack', AX, 'text'],
    ['.sched.text', AX, 'text'],
    ['.softirqentry.text', AX, 'text'],
    ['.noinstr.text', AX, 'restricted-text'],
    ['.entry.text', AX, 'restricted-text'],
    ['.kprobes.text', AX, 'restricted-text'],
    ['.text..__x86.return_thunk', AX, 'restricted-text'],
    ['.init.text', AX, 'init-text'],
    ['.exit.text', AX, 'exit-text'],
    ['.altinstr_replacement', AX, 'table'],
    ['.rodata', A, 'rodata'],
    ['.rodata.names', A, 'rodata'],
    ['.rodata..c_jump_table', A, 'rodata'],
    ['.rodata.f.str1.8', AMS, 'strings'],
    ['.rodata.cst16', AM, 'constants'],
    ['__stop_sched_class', A, 'rodata'],
    ['.data.state', WA, 'data'],
    ['.data..ro_after_init', WA, 'data'],
    ['.data.once', WA, 'data'],
    ['__dyndbg', WA, 'data'],
    ['.data..percpu..shared_aligned', WA, 'percpu'],
    ['.init.data', WA, 'init-data'],
    ['.initcall6.init', A, 'table'],
    ['___ksymtab_gpl+f', A, 'table'],
    ['.debug_info', 0, 'table'],
    ['.symtab_shndx', 0, 'drop'],
    ['__my_table', WA, 'unknown'],
    ['.my.text', AX, 'unknown'],
  ])('%s (flags %i) is %s', (name, flags, expected) => {
    expect(classOf(name, flags)).toBe(expected);
  });

  it('takes a section without contents for bss', () => {
    expect(classOf('.bss.counter', WA, 8)).toBe('bss');
  });
});

describe('tableOf', () => {
  it('takes the longest name that fits', () => {
    expect(tableOf('__ksymtab_strings')?.onChange).toBe('ignore');
    expect(tableOf('__ksymtab_gpl')?.onChange).toBe('refuse');
  });

  it('does not take data for a table', () => {
    expect(tableOf('.data.initcall_debug')).toBeUndefined();
    expect(tableOf('.bss')).toBeUndefined();
  });

  it('says what becomes of entries', () => {
    const extraction = [
      '__ex_table',
      '.orc_unwind',
      '.altinstr_aux',
      '__param',
      '_ftrace_events',
      '.discard.reachable',
    ].map((name) => tableOf(name)?.extraction);
    expect(extraction).toEqual(['keep', 'with-entry', 'with-entry', 'drop', 'drop', 'drop']);
  });
});
