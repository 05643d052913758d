/**
 * Differencing of assembly: what gas makes of functions that share a section, taken apart and put together
 * again by ld, leads where it led; and what a change of it means.
 */
import { describe, expect, it } from 'vitest';
import type { AssemblyChange } from '../../src/diff/assembly-change.ts';
import { splitFunctions } from '../../src/diff/assembly-split.ts';
import { extractReplacement } from '../../src/diff/extract-replacement.ts';
import type { ObjectFile } from '../../src/elf/model.ts';
import { readObject } from '../../src/elf/read-object.ts';
import { writeObject } from '../../src/elf/write-object.ts';
import { openWorkshop } from '../support/compile.ts';
import { assemble, compared, errors, prelude, replaced } from './assembly-source.ts';

interface Line {
  readonly text: string;
  readonly to: string | undefined;
}

/**
 * Instructions of each function as objdump prints them in the linked object, branches and %rip-relative operands by
 * where they lead: a function and a distance. A jump that lies in no function is followed.
 */
function linkedFunctions(object: ObjectFile, bytes: Uint8Array): Readonly<Record<string, readonly Line[]>> {
  using workshop = openWorkshop();
  workshop.write('unit.o', bytes);
  workshop.run('ld', '-e', '0', '--defsym', 'elsewhere=0x500000', '-o', 'linked', 'unit.o');
  const symbols = workshop
    .run('nm', '-S', 'linked')
    .split('\n')
    .flatMap((line) => {
      const [, value = '', size = '', name = ''] = /^(\S{16}) (\S{16}) [tT] (\S+)$/.exec(line) ?? [];
      return name === '' ? [] : [{ name, from: Number(`0x${value}`), size: Number(`0x${size}`) }];
    });
  const found = new Map<number, { text: string; target: number | undefined }>();
  for (const line of workshop.run('objdump', '-d', '--no-show-raw-insn', '-w', 'linked').split('\n')) {
    const [, at, text = ''] = /^\s+([0-9a-f]+):\s+(.*)$/.exec(line) ?? [];
    if (at === undefined) continue;
    const target = /\b(?:j\w+|call)\s+([0-9a-f]+) <|# ([0-9a-f]+) </.exec(text);
    const address = target?.[1] ?? target?.[2];
    found.set(Number(`0x${at}`), {
      text: text.replace(/\s*(?:#.*|[0-9a-f]+ <.*)$/, '').replace(/-?0x[0-9a-f]+\(%rip\)/, '(%rip)'),
      target: address === undefined ? undefined : Number(`0x${address}`),
    });
  }
  const placeOf = (address: number): string => {
    const owner = symbols.findLast(({ from, size }) => address >= from && address < from + size);
    if (owner !== undefined) return `${owner.name}+${address - owner.from}`;
    const jump = found.get(address);
    return jump?.target === undefined ? address.toString(16) : placeOf(jump.target);
  };
  const names = object.symbols.filter(({ type }) => type === 2).map(({ name }) => name);
  return Object.fromEntries(
    symbols
      .filter(({ name }) => names.includes(name))
      .map(({ name, from, size }) => [
        name,
        [...found]
          .filter(([address]) => address >= from && address < from + size)
          .map(([, { text, target }]) => ({ text, to: target === undefined ? undefined : placeOf(target) })),
      ]),
  );
}

const near = '  .skip 300, 0x90\n';

/** Branches in all directions, near and short, and a constant between the instructions. */
const shapes = `
FUNC first
  call local
  jb second
  jmp elsewhere
END first
FUNC second
  test %eax, %eax
  js first
  jrcxz third
  jz second
  lea third(%rip), %rdx
  jmp far
END second
FUNC third
  inc %eax
  jz second
  dec %eax
END third
FUNC local, local
  call second
  jmp *%rax
END local
${near}
FUNC far
  jmp first
END far
`;

/** The file that an object was read from: its sections are views of it. */
function fileOf(object: ObjectFile): Uint8Array {
  const section = object.sections.find(({ data }) => data.length > 0);
  if (section === undefined) throw new Error('an empty object');
  return new Uint8Array(section.data.buffer);
}

/** What objdump says of a section of the replacement object. */
function disassembled(pair: AssemblyChange, section: string): string {
  using workshop = openWorkshop();
  const { object } = extractReplacement(pair.comparison, pair.change);
  workshop.write('replacement.o', writeObject(object));
  return workshop.run('objdump', '-dr', '--no-show-raw-insn', '-j', section, 'replacement.o');
}

describe('splitting the functions of assembly', () => {
  it('leads every branch and operand where it led', () => {
    using workshop = openWorkshop();
    workshop.compile('unit.s', prelude + shapes);
    const whole = workshop.read('unit.o');
    const object = readObject(whole, 'unit.o');
    const { object: split, obstacles } = splitFunctions(object);
    const names = ['first', 'second', 'third', 'local', 'far'];
    expect(split.sections.map(({ name }) => name)).toEqual(
      expect.arrayContaining(names.map((name) => `.text.${name}`)),
    );
    expect([...obstacles.values()].flat()).toEqual([]);
    const before = linkedFunctions(object, whole);
    expect(Object.keys(before).sort()).toEqual(names.toSorted());
    expect(before['second']?.map(({ to }) => to)).toEqual([
      undefined,
      'first+0',
      'third+0',
      'second+0',
      'third+0',
      'far+0',
    ]);
    expect(linkedFunctions(split, fileOf(split))).toEqual(before);
  });

  it('adds a jump where a function runs on into the next', () => {
    const { object } = splitFunctions(assemble(shapes));
    const third = object.sections.find(({ name }) => name === '.text.third');
    // inc, jz with its jump ahead of the function, dec; then the jump to `local`.
    expect(Buffer.from(third?.data.subarray(-5) ?? []).toString('hex')).toBe('e900000000');
    const relocation = third?.relocations.at(-1);
    const symbol = relocation === undefined ? undefined : object.symbols[relocation.symbol];
    const place = typeof symbol?.place === 'number' ? object.sections[symbol.place]?.name : undefined;
    expect([place, relocation?.addend]).toEqual(['.text.local', -4]);
  });
});

/** `body` in a function between two others, the second of which branches over it. */
const between = (body: string): string => `
FUNC before
  ret
END before
FUNC changed
${body}
  ret
END changed
FUNC after
  call before
  call changed
  test %eax, %eax
  jnz before
  lea before(%rip), %rax
  ret
END after
`;

const neighbours = (value: number): string => `
  FUNC user
    mov $${value}, %eax
    call helper
    jz other
    jmp elsewhere
  END user
  FUNC helper, local
    ret
  END helper
  FUNC other
    ret
  END other`;

const fixups = (value: number): string => `
  FUNC copy
  1: mov (%rsi), %eax
    add $${value}, %eax
    jc slow
  2: ret
    EXTABLE 1b, 2b
  END copy
  FUNC slow
    add $${value}, %eax
  1: mov (%rsi), %eax
  2: ret
    EXTABLE 1b, 2b
  END slow`;

describe('a changed function of assembly', () => {
  it('is the only one that is replaced, although all behind it has moved', () => {
    const pair = compared(between('  inc %eax'), between('  inc %eax\n  .rept 20\n  inc %ecx\n  .endr'));
    expect(Object.keys(replaced(pair))).toEqual(['changed']);
    expect(errors(pair)).toEqual([]);
    expect(pair.change.unchanged).toBe(2);
  });

  it('refers to its neighbours by their names, whatever the assembler had put in', () => {
    const text = disassembled(compared(neighbours(1), neighbours(2)), '.text.user');
    expect(text.match(/R_X86_64_\S+\s+\S+/g)?.map((each) => each.replace(/\s+/, ' '))).toEqual([
      'R_X86_64_PLT32 helper-0x4',
      'R_X86_64_PLT32 elsewhere-0x4',
      'R_X86_64_PLT32 other-0x4',
    ]);
  });

  it('takes its fixups with it, and calls what is replaced with it directly', () => {
    const pair = compared(fixups(1), fixups(2));
    expect(Object.keys(replaced(pair))).toEqual(['copy', 'slow']);
    const { object, references } = extractReplacement(pair.comparison, pair.change);
    expect(references).toEqual([]);
    const table = object.sections.find(({ name }) => name === '__ex_table');
    expect(
      table?.relocations.map(({ symbol, addend }) => `${object.symbols[symbol]?.name}+${addend}`),
    ).toEqual(['copy+0', 'copy+7', 'slow+3', 'slow+5']);
  });
});

/** As in copy_user_64.S: a tail that all functions share, without a symbol. */
const tail = (value: number): string => `
  FUNC user
  1: mov (%rsi), %eax
    ret
  2: mov $5, %ecx
    jmp .Ltail
    EXTABLE 1b, 2b
  END user
  FUNC fixed
  1: mov (%rsi), %eax
    ret
    EXTABLE 1b, .Ltail
  END fixed
  CODE .Ltail
    add $${value}, %ecx
    ret
  FUNC aside
    ret
  END aside
  FUNC chosen
    ALTERNATIVE "jmp aside", "jmp .Ltail", 1
  END chosen
  FUNC other
    ALTERNATIVE "jmp aside", "jmp elsewhere", 1
  END other`;

describe('code without a function', () => {
  it('belongs to the function before it, and whoever comes to it is replaced with that', () => {
    const pair = compared(tail(1), tail(2));
    expect(replaced(pair)).toEqual({
      fixed: [expect.stringMatching(/^bytes differ at \+/)],
      user: ['goes to fixed+0x10, which is replaced'],
      chosen: ['goes to fixed+0x10, which is replaced'],
    });
    expect(errors(pair)).toEqual([]);
    expect(disassembled(pair, '.text.user')).toMatch(/R_X86_64_PLT32\s+fixed\+0xc/);
    expect(disassembled(pair, '.text.fixed')).toMatch(/add\s+\$0x2,%ecx/);
  });

  it('is where it was for a function that is replaced without it', () => {
    const pair = compared(tail(1), tail(1).replace('$5', '$6'));
    expect(Object.keys(replaced(pair))).toEqual(['user']);
    const { object, references } = extractReplacement(pair.comparison, pair.change);
    expect(references.map(({ preName, scope }) => `${scope} ${preName}`)).toEqual(['global fixed']);
    const code = object.sections.find(({ name }) => name === '.text.user');
    expect(code?.relocations.map(({ addend }) => addend)).toEqual([0x10 - 4]);
  });
});

const tables = (first: number): string => `
  FUNC sum
    lea table(%rip), %rax
    paddd mask(%rip), %xmm0
    ret
  END sum
  FUNC other
    paddd same(%rip), %xmm0
    ret
  END other
  .section .rodata, "a"
  .balign 16
  table: .long ${first}, 2, 3, 4
  .section .rodata.cst16.mask, "aM", @progbits, 16
  .balign 16
  mask: .octa 7
  .section .rodata.cst16.same, "aM", @progbits, 16
  .balign 16
  same: .octa 8`;

const jumps = (value: number): string => `
  FUNC go
    lea places(%rip), %rax
    mov $${value}, %ecx
    jmp *(%rax)
  .Lone: ret
  END go
  .section .rodata, "a"
  places: .quad .Lone`;

describe('constants of assembly', () => {
  it('that change are copied, and who uses them is replaced', () => {
    const pair = compared(tables(1), tables(9));
    expect(Object.keys(replaced(pair))).toEqual(['sum']);
    expect(errors(pair)).toEqual([]);
    const { object } = extractReplacement(pair.comparison, pair.change);
    const table = object.sections.find(({ name }) => name === '.rodata');
    expect(Buffer.from(table?.contents instanceof Uint8Array ? table.contents : []).toString('hex')).toBe(
      '09000000020000000300000004000000',
    );
  });

  it('that are places in a function lead into its new code', () => {
    const pair = compared(jumps(1), jumps(2));
    expect(errors(pair)).toEqual([]);
    const { object } = extractReplacement(pair.comparison, pair.change);
    const table = object.sections.find(({ name }) => name === '.rodata');
    expect(table?.relocations.map(({ symbol }) => object.symbols[symbol]?.name)).toEqual(['go']);
  });
});
