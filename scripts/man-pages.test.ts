/**
 * The man pages say what the program does: held against the commands as they are defined, so that a command, a flag, a
 * default or an exit status that is added, or goes, is missed here.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command, RouteMap } from '@stricli/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CliContext } from '../src/cli/command.ts';
import { root as commands } from '../src/cli/run-cli.ts';
import { VERSION } from '../src/cli/version.ts';
import { type ManPage, readManPages, writeManPages } from './man-pages.ts';

const ROOT = resolve(import.meta.dirname, '..');
const HELP = 'help';

/** What the definition of a command says, for `key` and its like of all that are below it. */
interface Described {
  readonly name: string;
  readonly subcommands: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
  readonly aliases: readonly string[];
  readonly exits: readonly string[];
}

function isRouteMap(target: Command<CliContext> | RouteMap<CliContext>): target is RouteMap<CliContext> {
  return 'getAllEntries' in target;
}

function leaves(name: string, target: Command<CliContext> | RouteMap<CliContext>): Described {
  if (isRouteMap(target)) {
    const below = target.getAllEntries().map((entry) => leaves(entry.name.original, entry.target));
    return {
      name,
      subcommands: below.map((each) => each.name),
      flags: new Map(below.flatMap(({ flags }) => [...flags])),
      aliases: [...new Set(below.flatMap(({ aliases }) => aliases))],
      exits: [...new Set(below.flatMap(({ exits }) => exits))],
    };
  }
  const { flags = {}, aliases = {} } = target.parameters;
  const [, list = ''] = /EXIT STATUS\n([^]*?)\n\n/.exec(target.fullDescription ?? '') ?? [];
  return {
    name,
    subcommands: [],
    flags: new Map(Object.entries(flags).map(([flag, { brief }]) => [flag, brief])),
    aliases: Object.keys(aliases),
    exits: [...list.matchAll(/^ +(\d+) /gm)].map(([, code = '']) => code),
  };
}

const described = commands.getAllEntries().map((entry) => leaves(entry.name.original, entry.target));
const pages = new Map<string, ManPage>(readManPages(ROOT, VERSION).map((page) => [page.file, page]));

function textOf(file: string): string {
  return pages.get(file)?.text ?? '';
}

/** The text of a section, without its heading. */
function section(text: string, title: string): string {
  return text.split(/^\.Sh /m).find((each) => each.startsWith(`${title}\n`)) ?? '';
}

/** Items of the option list with their text: `.It Fl o , -output Ar FILE`, and what follows. */
function options(text: string): readonly { readonly names: readonly string[]; readonly text: string }[] {
  return section(text, 'OPTIONS')
    .split(/^\.It /m)
    .filter((item) => item.startsWith('Fl '))
    .map((item) => {
      const head = (item.split('\n')[0] ?? '').replace(/ Ar .*| Cm .*/, '');
      return { names: head.replace('Fl ', '').split(' , '), text: item };
    });
}

/** Tags of the section's list that are numbers. */
function exitsOf(text: string): readonly string[] {
  return [...section(text, 'EXIT STATUS').matchAll(/^\.It (\d+)$/gm)].map(([, code = '']) => code);
}

describe('every command has its page', () => {
  it('and no page is about something else', () => {
    expect([...pages.keys()]).toEqual(
      ['ksplice.1', 'ksplice-update.5', ...described.map(({ name }) => `ksplice-${name}.1`)].toSorted(),
    );
  });

  it.for(described)('$name: all flags and no others', ({ name, flags, aliases }) => {
    const names = options(textOf(`ksplice-${name}.1`)).flatMap((option) => option.names);
    const wanted = [...flags.keys(), HELP].map((flag) => `-${flag}`);
    expect(names.toSorted()).toEqual([...wanted, ...aliases, 'h'].toSorted());
  });

  it.for(described)('$name: all defaults', ({ name, flags }) => {
    const listed = options(textOf(`ksplice-${name}.1`));
    for (const [flag, brief] of flags) {
      const hasDefault = / \[[^\]]+\]$/.test(brief);
      const item = listed.find(({ names }) => names.includes(`-${flag}`));
      expect(item?.text.includes('\nDefault: ') || item?.text.includes('\nDefault:\n'), flag).toBe(
        hasDefault,
      );
    }
  });

  it.for(described)('$name: all exit statuses and no others', ({ name, exits }) => {
    expect(exitsOf(textOf(`ksplice-${name}.1`)).toSorted()).toEqual(exits.toSorted());
  });

  it.for(described)('$name: all its commands, and an example', ({ name, subcommands }) => {
    const text = textOf(`ksplice-${name}.1`);
    for (const each of subcommands) expect(text).toMatch(new RegExp(`^\\.It (?:Ic|Cm) ${each}$`, 'm'));
    expect(section(text, 'EXAMPLES')).toContain(`ksplice ${name}`);
  });

  it('metrics: all that it prints, and nothing else', () => {
    const source = readFileSync(join(ROOT, 'src/live/metrics.ts'), 'utf8');
    const printed = [...source.matchAll(/^ {6}name: '(ksplice_\w+)'/gm)].map(([, name = '']) => name);
    expect(printed.length).toBeGreaterThan(5);
    const listed = [...textOf('ksplice-metrics.1').matchAll(/^\.It (ksplice_\w+)$/gm)].map(
      ([, name = '']) => name,
    );
    expect(listed).toEqual(printed);
  });

  it('and ksplice(1) names them all, with every exit status', () => {
    const text = textOf('ksplice.1');
    for (const { name } of described) expect(text).toContain(`.It Ic ${name}\n`);
    const all = new Set(described.flatMap(({ exits }) => exits));
    expect(exitsOf(text).toSorted()).toEqual([...all].toSorted());
  });
});

describe('no page names a flag that does not exist', () => {
  const known = new Map(described.map(({ name, flags, aliases }) => [name, [...flags.keys(), ...aliases]]));

  it.for([...pages.values()])('$file', ({ file, text }) => {
    const own = /^ksplice-(.*)\.1$/.exec(file)?.[1] ?? '';
    for (const line of text.split('\n')) {
      // `.Nm ksplice create Fl -partial` is about another command, `.Nm uname Fl r` about another program.
      const [, program, command] = /^\.(?:Pq )?Nm (\S+)(?: (\S+))?/.exec(line) ?? [];
      if (program !== undefined && program !== 'ksplice') continue;
      const flags = known.get(command ?? own) ?? ['json', 'quiet', 'verbose', 'q', 'v', 'version'];
      for (const [, flag = ''] of line.matchAll(/\bFl -?([a-z-]+)/g)) {
        expect([...flags, 'help', 'h'], `${file}: ${line}`).toContain(flag);
      }
    }
    for (const [, command = '', rest = ''] of text.matchAll(/^(?:\$ )?(?:sudo )?ksplice (\S+)(.*)$/gm)) {
      const flags = known.get(command);
      expect(flags, `${file}: ksplice ${command}`).toBeDefined();
      for (const [, flag = ''] of rest.matchAll(/ --?([a-z-]+)/g)) {
        expect([...(flags ?? []), 'help'], `${file}: ${rest}`).toContain(flag);
      }
    }
  });

  it('and none refers to a page of ours that is not there', () => {
    for (const { file, text } of pages.values()) {
      for (const [, name = '', number = ''] of text.matchAll(/^\.Xr (ksplice\S*) (\d)/gm)) {
        expect([...pages.keys()], file).toContain(`${name}.${number}`);
      }
    }
  });
});

describe('what is written for packages', () => {
  let folder: string;
  let written: readonly string[];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'man-'));
    written = writeManPages([...pages.values()], folder);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it('says which version it is', () => {
    expect(written).toHaveLength(pages.size);
    for (const { text } of pages.values()) expect(text).toContain(`\n.Os ksplice ${VERSION}\n`);
  });

  it('is clean for mandoc, and for man as lintian calls it', () => {
    execFileSync('mandoc', ['-Tlint', '-Wwarning', ...written], { stdio: 'pipe' });
    for (const file of written) {
      const argv = ['--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', file];
      const env = { ...process.env, LC_ALL: 'C.UTF-8', MANROFFSEQ: '', MANWIDTH: '80' };
      const { stderr } = captured('man', argv, env);
      expect(stderr, file).toBe('');
    }
  });
});

function captured(
  program: string,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
): { readonly stderr: string } {
  const script = 'exec "$0" "$@" 2>&1 >/dev/null';
  return { stderr: execFileSync('sh', ['-c', script, program, ...argv], { encoding: 'utf8', env }) };
}
