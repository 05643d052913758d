import { describe, expect, it } from 'vitest';
import { RefusedError } from '../diagnostics/error.ts';
import { type CompileCommand, inModule, parseCommandFile, replayCommands } from './compile-command.ts';

const line =
  'cmd_fs/pipe.o := gcc-12 -Wp,-MMD,fs/.pipe.o.d -I/src/include -I./include -fmacro-prefix-map=/src/= -O2 -DKBUILD_MODNAME=\'"pipe"\' -DX=$$Y$(pound) -c -o fs/pipe.o /src/fs/pipe.c   ; ./tools/objtool/objtool --orc   fs/pipe.o';

function parsed(text: string): CompileCommand {
  const command = parseCommandFile(text, 'fs/pipe.o');
  if (command === undefined) throw new Error('not found');
  return command;
}

describe('the command of a unit', () => {
  it('is found under its old and its new name, for its own object only', () => {
    const plain = line.replace('-DX=$$Y$(pound) ', '');
    expect(parsed(plain).objtool).toEqual(['./tools/objtool/objtool', '--orc']);
    expect(parsed(`saved${plain}`).compiler[0]).toBe('gcc-12');
    expect(parseCommandFile(plain, 'fs/file.o')).toBeUndefined();
    expect(parsed(plain).module).toBeUndefined();
  });

  it('names the module that the unit is part of', () => {
    const text = line.replace('-DX=$$Y$(pound)', '-DMODULE').replace('"pipe"', '"pipes"');
    expect(parsed(text).module).toBe('pipes');
  });

  it('takes the name of the module from kbuild where it is assembly, which does not tell', () => {
    const [built, module] = ['', '-DMODULE'].map((flag) =>
      parseCommandFile(`cmd_a.o := gcc-12 -Wp,-MMD,.a.o.d -D__ASSEMBLY__ ${flag} -c -o a.o /src/a.S`, 'a.o'),
    );
    if (built === undefined || module === undefined) throw new Error('not found');
    expect(inModule(module, 'sha256-ssse3').module).toBe('sha256_ssse3');
    expect(inModule(built, 'sha256-ssse3').module).toBeUndefined();
  });

  it('is replayed from another root, with other output and more flags', () => {
    const plain = line.replace('-DX=$$Y$(pound) ', '');
    const [compile, objtool] = replayCommands(parsed(plain), '/src', {
      output: '/w/post.o',
      dependencies: '/w/post.d',
      root: '/w/mirror',
      flags: ['-ffunction-sections'],
    });
    expect(compile).toEqual([
      'gcc-12',
      '-Wp,-MMD,/w/post.d',
      '-I/w/mirror/include',
      '-I./include',
      '-fmacro-prefix-map=/w/mirror/=',
      '-O2',
      '-DKBUILD_MODNAME="pipe"',
      '-g0',
      '-ffunction-sections',
      '-c',
      '-o',
      '/w/post.o',
      '/w/mirror/fs/pipe.c',
    ]);
    expect(objtool).toEqual(['./tools/objtool/objtool', '--orc', '/w/post.o']);
  });

  it('is refused in a form that is not understood', () => {
    for (const text of [
      line,
      line.replace('-DX=$$Y$(pound)', '') + ' ; strip fs/pipe.o',
      'cmd_fs/pipe.o := ld -r -o fs/pipe.o a.o b.o',
    ]) {
      expect(() => parsed(text)).toThrow(RefusedError);
    }
  });
});
