import { describe, expect, it } from 'vitest';
import { readDryRun } from './dry-run.ts';

/** The lines of a recipe, as kbuild's if_changed_rule makes them. */
function recipe(object: string, word: string, module = ''): string {
  const trap = `trap 'rm -f ${object}; trap - HUP; kill -s HUP $$' HUP;`;
  const text = `gcc-12 -DX='\\''"x"'\\'' -DKSPLICE_ASKS -c -o ${object} /s/${object.replace(/o$/, 'c')}`;
  return [
    `set -e;  echo '  KSPLICE-UNIT ${object} ${word}${module} END';    ${trap} gcc-12 -c -o ${object}; scripts/basic/fixdep x.d ${object} '${text}' > x.cmd; rm -f x.d`,
    `set -e;     ${trap} if nm ${object}; then :; fi`,
  ].join('\n');
}

const step = `set -e;  echo '  GEN     lib/table.h';    trap 'rm -f lib/table.h; trap - HUP; kill -s HUP $$' HUP; lib/gen > lib/table.h`;

/** What make prints before and between. */
function run(...lines: readonly string[]): string {
  return [
    'make -C /s O=/b',
    'make -f /s/scripts/Makefile.build obj=. prepare',
    "set -e;  echo '  CC      kernel/bounds.s';    trap 'rm -f kernel/bounds.s; trap - HUP;' HUP; gcc",
    ':',
    'make -f /s/scripts/Makefile.build obj=. need-builtin=1 need-modorder=1 ./fs/pipe.o',
    'make -f /s/scripts/Makefile.build obj=fs \\',
    'need-builtin=1 \\',
    'need-modorder=1 \\',
    'fs/pipe.o fs/x.o fs/y.o',
    ...lines,
    ':',
    "make[1]: Leaving directory '/b'",
    '',
  ].join('\n');
}

describe('readDryRun', () => {
  it('gives the command, the list and the module of each object', () => {
    const output = run(
      recipe('fs/pipe.o', 'listed'),
      recipe('fs/x.o', 'unlisted'),
      recipe('fs/y.o', 'listed', ' y-asm'),
    );
    const answers = readDryRun(output, ['fs/pipe.o', 'fs/x.o', 'fs/y.o']);
    expect(answers.get('fs/pipe.o')).toEqual({
      isListed: true,
      module: undefined,
      command: `cmd_fs/pipe.o := gcc-12 -DX='"x"' -c -o fs/pipe.o /s/fs/pipe.c`,
    });
    expect(answers.get('fs/x.o')?.isListed).toBe(false);
    expect(answers.get('fs/y.o')?.module).toBe('y-asm');
  });

  it('takes the last word on an object that is reached twice', () => {
    const output = run(recipe('arch/x.o', 'unlisted'), recipe('arch/x.o', 'listed'));
    expect(readDryRun(output, ['arch/x.o']).get('arch/x.o')?.isListed).toBe(true);
  });

  it('leaves out an object that needs something else to be made first, and only that one', () => {
    const output = run(
      recipe('fs/a.o', 'listed'),
      step,
      recipe('fs/b.o', 'listed'),
      recipe('fs/c.o', 'listed'),
    );
    expect([...readDryRun(output, ['fs/a.o', 'fs/b.o', 'fs/c.o']).keys()]).toEqual(['fs/a.o', 'fs/c.o']);
  });

  it('leaves out an object that needs another one', () => {
    const output = run(recipe('fs/other.o', 'listed'), recipe('fs/a.o', 'listed'));
    expect([...readDryRun(output, ['fs/a.o']).keys()]).toEqual([]);
  });

  it('knows nothing where steps follow, or the way there is not known', () => {
    expect(readDryRun(run(recipe('fs/a.o', 'listed'), step), ['fs/a.o']).size).toBe(0);
    const other = run(recipe('fs/a.o', 'listed')).replaceAll('need-builtin=1', '');
    expect(readDryRun(other, ['fs/a.o']).size).toBe(0);
    expect(readDryRun('', ['fs/a.o']).size).toBe(0);
  });
});
