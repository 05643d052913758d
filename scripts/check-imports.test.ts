import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkImports, readSources } from './check-imports.ts';

const DEPENDENCIES = ['iced-x86', '@stricli/core', 'valibot'];

/** Messages for one file, each headed by its line. */
function judge(path: string, ...lines: readonly string[]): readonly string[] {
  return checkImports([{ path, text: lines.join('\n') }], DEPENDENCIES).map(
    ({ line, message }) => `${line}: ${message}`,
  );
}

describe('rooms', () => {
  it('may import from themselves and from earlier rooms', () => {
    expect(
      judge(
        'src/match/match-unit.ts',
        "import { hex } from '../diagnostics/hex.ts';",
        "import type { Kernel } from '../kernel/kernel.ts';",
        "import { compare } from './compare.ts';",
        "import { readFile } from 'node:fs/promises';",
        "import * as v from 'valibot';",
      ),
    ).toEqual([]);
  });

  it('may not import from later rooms, in whatever form', () => {
    expect(
      judge(
        'src/elf/read.ts',
        "import type { Kernel } from '../kernel/kernel.ts';",
        "export { x } from '../x86/decoder.ts';",
        "const lazy = await import('../cli/main.ts');",
        "import '../live/apply.ts';",
        'import {',
        '  a,',
        "} from '../diff/a.ts';",
      ),
    ).toEqual([
      '1: src/elf imports src/kernel/kernel.ts: src/kernel is a later room',
      '2: src/elf imports src/x86/decoder.ts: src/x86 is a later room',
      '3: src/elf imports src/cli/main.ts: src/cli is a later room',
      '4: src/elf imports src/live/apply.ts: src/live is a later room',
      '7: src/elf imports src/diff/a.ts: src/diff is a later room',
    ]);
  });

  it('keep to the part of a room that they may know', () => {
    expect(judge('src/diff/a.ts', "import { t } from '../kernel/tables/orc.ts';")).toEqual([]);
    expect(judge('src/diff/a.ts', "import { k } from '../kernel/kcore.ts';")).toHaveLength(1);
    expect(judge('src/debian/a.ts', "import { k } from '../build/tree.ts';")).toHaveLength(1);
    expect(judge('src/link/a.ts', "import { c } from '../diff/assembly-slices.ts';")).toHaveLength(1);
  });

  it('are all there is', () => {
    expect(judge('src/utils/a.ts', "import { hex } from '../diagnostics/hex.ts';")).toHaveLength(1);
    expect(judge('src/cli/a.ts', "import { b } from '../../scripts/bundle.ts';")).toHaveLength(1);
  });
});

describe('packages', () => {
  it('are imported where they belong', () => {
    expect(judge('src/x86/decoder.ts', "import { Decoder } from 'iced-x86';")).toEqual([]);
    expect(judge('src/match/a.ts', "import { Decoder } from 'iced-x86';")).toEqual([
      '1: imports iced-x86: only src/x86 may',
    ]);
    expect(judge('src/live/a.ts', "import { run } from '@stricli/core';")).toHaveLength(1);
  });

  it('are dependencies, not tools', () => {
    expect(judge('src/elf/a.ts', "import { build } from 'esbuild';")).toHaveLength(1);
    expect(judge('src/elf/a.test.ts', "import { expect } from 'vitest';")).toEqual([]);
  });
});

describe('the process', () => {
  it('belongs to cli', () => {
    expect(judge('src/cli/main.ts', 'process.exitCode = 1; process.argv; process.env;')).toEqual([]);
    expect(judge('src/live/a.ts', 'process.exit(1);', 'const home = process.env.HOME;')).toEqual([
      '1: uses process.exit: only src/cli may',
      '2: uses process.env: only src/cli may',
    ]);
  });

  it('may be spoken of', () => {
    expect(judge('src/elf/a.ts', '/**', ' * Ends before process.exit.', ' */', '// process.argv')).toEqual(
      [],
    );
  });

  it('gives its environment to subprocesses', () => {
    expect(judge('src/process/run.ts', '({ ...process.env })')).toEqual([]);
    expect(judge('src/process/run.ts', 'process.stdout.write(x)')).toHaveLength(1);
  });
});

describe('specifiers', () => {
  it('have the ending .ts and are not computed', () => {
    expect(judge('src/elf/a.ts', "import { b } from './b';", "import { c } from './c.js';")).toHaveLength(2);
    expect(judge('src/elf/a.ts', 'await import(name)')).toEqual(['1: imports a name that is computed']);
  });

  it('of test/support name neither live nor cli', () => {
    expect(judge('test/support/vm.ts', "import { main } from '../../src/cli/main.ts';")).toHaveLength(1);
    expect(judge('test/vm/apply.test.ts', "import { apply } from '../../src/live/apply.ts';")).toEqual([]);
  });
});

it('reads the files of this project', () => {
  const paths = readSources(resolve(import.meta.dirname, '..')).map(({ path }) => path);
  expect(paths).toContain('scripts/check-imports.ts');
  expect(paths).toContain('src/diagnostics/error.ts');
});
