/**
 * What a person sees of a command on a terminal, and what Ctrl-C leaves behind: nothing, whatever was running.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { updateFile } from '../support/live/update-file.ts';
import { Terminal } from '../support/terminal.ts';
import { TEST_RELEASE, testCacheDir, testImage } from '../support/vm/test-kernel.ts';

const ESCAPE = '\u001b';
const RED_OR_GREEN = new RegExp(`${ESCAPE}\\[3[12]m`);

let bundle: string;
let folder: string;

beforeAll(async () => {
  bundle = await hostBundle();
  folder = await mkdtemp(join(tmpdir(), 'terminal-'));
  // So that the kernel is prepared, and what is interrupted below is the work on the patch.
  await updateFile();
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Marked {
  readonly name: string;
  readonly argv: string;
}

/** Processes that have `mark` in their environment. */
async function marked(mark: string): Promise<readonly Marked[]> {
  const found: Marked[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    try {
      if ((await readFile(`/proc/${pid}/environ`, 'latin1')).includes(mark)) {
        found.push({
          name: (await readFile(`/proc/${pid}/comm`, 'latin1')).trimEnd(),
          argv: (await readFile(`/proc/${pid}/cmdline`, 'latin1')).replaceAll('\0', ' '),
        });
      }
    } catch {
      // It has ended meanwhile, or is another user's.
    }
  }
  return found;
}

/** A patch of a file that adds a statement to a function. */
async function patchOf(source: string, name: string): Promise<string> {
  const parts = { cacheDir: testCacheDir(), parts: ['source'] } as const;
  const { source: tree } = await debianSources(TEST_RELEASE, parts);
  const lines = (await readFile(join(tree, source), 'utf8')).split('\n');
  const at = lines.findIndex(
    (line, index) => line === '{' && /^(?:static )?int /.test(lines[index - 1] ?? ''),
  );
  const file = join(folder, `${name}.patch`);
  // As much before as behind it: patch(1) takes less at one side for the end of the file.
  const context = lines.slice(at - 1, at + 3).map((line) => ` ${line}`);
  const hunk = [...context.slice(0, 2), '+\tasm volatile("nop");', ...context.slice(2)];
  const head = [`--- a/${source}`, `+++ b/${source}`, `@@ -${at},4 +${at},5 @@`];
  await writeFile(file, [...head, ...hunk, ''].join('\n'));
  return file;
}

/** Has kbuild asked about it again: what it answered is kept with the prepared trees. */
async function forget(source: string): Promise<void> {
  const builds = join(testCacheDir(), 'build');
  for (const each of await readdir(builds)) {
    await rm(join(builds, each, '.ksplice', 'units', `${source}.json`), { force: true });
  }
}

/** The directory in which create has units compiled, if a command line names it. */
function workOf(line: string): string | undefined {
  return /\/[^\s,=:]*\/work\/create-\w+/.exec(line)?.[0];
}

describe('Ctrl-C', () => {
  // A source that kbuild has to be asked about, so that make runs; and one that it was, so that a compiler does.
  it.for<readonly [string, string]>([
    ['make', 'net/ipv4/ah4.c'],
    ['cc1', 'net/ipv4/ip_options.c'],
  ])('while %s runs ends it with everything that it began: 130', async ([program, source]) => {
    const mark = `TERMINAL_MARK=${randomUUID()}`;
    const [name = '', value = ''] = mark.split('=');
    const home = join(folder, program);
    const temporary = join(home, 'tmp');
    await mkdir(temporary, { recursive: true });
    const patch = await patchOf(source, program);
    if (program === 'make') await forget(source);
    const argv = [process.execPath, bundle, 'create', '--patch', patch, '--kernel', TEST_RELEASE] as const;
    const terminal = new Terminal(argv, { cwd: home, env: { [name]: value, TMPDIR: temporary } });

    // create asks the compiler about itself first: that is another cc1, and is over at once.
    const isIt = ({ name: each, argv: line }: Marked): boolean =>
      each === program && (program !== 'cc1' || workOf(line) !== undefined);
    let running: readonly Marked[] = [];
    const isThere = async (): Promise<boolean> => {
      running = await marked(mark);
      return running.some(isIt);
    };
    await expect.poll(isThere, { timeout: 100_000, interval: 20 }).toBe(true);
    terminal.pressCtrlC();

    expect(await terminal.ended).toBe(130);
    expect(terminal.lines().join('\n')).toMatch(/ \.\.\. not done \d+\.\d s\nksplice: interrupted/);
    expect(await marked(mark)).toEqual([]);
    expect(await readdir(home)).toEqual(['tmp']);
    expect(await readdir(temporary)).toEqual([]);
    const work = workOf(running.map(({ argv: line }) => line).join(' '));
    if (program === 'cc1') expect(work, 'where the compiler works').toBeDefined();
    if (work !== undefined) expect(existsSync(work), work).toBe(false);
  });
});

describe('a terminal', () => {
  async function check(
    env: Readonly<Record<string, string>>,
    ...flags: readonly string[]
  ): Promise<Terminal> {
    const argv = [
      process.execPath,
      bundle,
      'check',
      await updateFile(),
      '--image',
      await testImage(),
    ] as const;
    const terminal = new Terminal([...argv, ...flags], { cwd: folder, env });
    expect(await terminal.ended, terminal.shown).toBe(0);
    return terminal;
  }

  it('is shown each step once, with what it took, and the result', async () => {
    const terminal = await check({});
    expect(terminal.shown).toMatch(RED_OR_GREEN);
    const lines = terminal.lines();
    expect(lines).toContainEqual(expect.stringMatching(/^reading the kernel \.\.\. done \d+\.\d s$/));
    expect(lines).toContainEqual(expect.stringMatching(/^matching \S+\.o \.\.\. done \d+\.\d s$/));
    expect(lines.at(-1)).toMatch(/fits 6\.1/);
  });

  it('has no colours under NO_COLOR, and no line is drawn again on a dumb one', async () => {
    const plain = await check({ NO_COLOR: '1' });
    expect(plain.shown).not.toMatch(RED_OR_GREEN);
    expect(plain.lines()).toContainEqual(expect.stringMatching(/^matching \S+\.o \.\.\. done/));
    const dumb = await check({ TERM: 'dumb' });
    expect(dumb.shown).not.toContain(ESCAPE);
    expect(dumb.shown).toMatch(/^\[ +\d\.\d s\] matching \S+\.o\r$/m);
  });

  it('is shown nothing under --quiet, and JSON alone on standard output is JSON', async () => {
    expect((await check({}, '--quiet')).shown).toBe('');
    const argv = ['check', await updateFile(), '--image', await testImage(), '--json'];
    const { stdout, stderr } = await hostKsplice(bundle, argv);
    expect(JSON.parse(stdout)).toMatchObject({ alreadyApplied: false });
    expect(stderr).not.toContain(ESCAPE);
  });
});
