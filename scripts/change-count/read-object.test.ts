import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changedSections } from './changed-sections.ts';
import { readObject } from './read-object.ts';
import { runTool } from './run-tool.ts';
import { changedStructs, readStructs } from './struct-layouts.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ksplice-count-test-'));
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

let files = 0;

async function compile(source: string): Promise<string> {
  files += 1;
  const [text, object] = [join(folder, `${files}.c`), join(folder, `${files}.o`)];
  await writeFile(text, source);
  const flags = ['-g', '-O2', '-ffunction-sections', '-fdata-sections', '-fno-asynchronous-unwind-tables'];
  await runTool(['gcc', ...flags, '-c', text, '-o', object]);
  return object;
}

async function changes(before: string, after: string): Promise<readonly string[]> {
  const [pre, post] = [await readObject(await compile(before)), await readObject(await compile(after))];
  return changedSections(pre, post).map(({ name, change }) => `${name} ${change}`);
}

const use = 'extern int use(const char *, ...);';

describe('sections as readelf and objdump print them', () => {
  it('have bytes, and references with symbols', async () => {
    const source = 'extern int far(int); char room[40]; int f(int x) { return far(x) + 1; }';
    const sections = [...(await readObject(await compile(source))).values()];
    const f = sections.find(({ name }) => name === '.text.f');
    expect(f?.bytes).toHaveLength(f?.size ?? -1);
    expect(f?.references.map(({ type, symbol, addend }) => [type, symbol.name, addend])).toEqual([
      ['R_X86_64_PLT32', 'far', -4],
    ]);
    expect(sections.find(({ name }) => name === '.bss.room')).toMatchObject({
      size: 40,
      bytes: Buffer.alloc(0),
    });
  });

  it('of one name are told apart by their order', async () => {
    const twice = `int f(int i) { static int t[2] = { 1, 2 }; return t[i]++; }
      int g(int i) { static int t[2] = { 3, 4 }; return t[i]++; }`;
    expect(await changes(twice, twice.replace('3, 4', '3, 5'))).toEqual(['.data.t contents']);
  });
});

describe('what differs', () => {
  it('is nothing, where strings and statics only get other numbers', async () => {
    const f = `${use} int f(int i) { static int t[2]; use("one"); return t[i]++; }`;
    const [before, after] = [
      `${use} int g(void) { return use("aaa"); }`,
      `${use} int g(void) { return use("bbb"); }`,
    ];
    expect(await changes(`${before} ${f}`, `${after} ${f}`)).toEqual(['.text.g contents']);
    expect(await changes(f, f)).toEqual([]);
  });

  it('is a function, what it calls, and the letters that it hands over', async () => {
    const f = `${use} int f(int x) { return use("one", x); }`;
    expect(await changes(f, f.replace(', x)', ', x + 1)'))).toEqual(['.text.f resized']);
    expect(await changes(f, f.replace('"one"', '"two"'))).toEqual(['.text.f contents']);
    expect(await changes(f, f.replaceAll('use', 'tell'))).toEqual(['.text.f contents']);
  });

  it('is new, removed or of another size', async () => {
    expect(await changes('int a = 1; int b[2] = { 1 };', 'int c = 1; int b[3] = { 1 };')).toEqual([
      '.data.a removed',
      '.data.b resized',
      '.data.c new',
    ]);
  });
});

const program = (members: string): string =>
  `struct plain { int a; }; struct named_at_length { ${members} }; struct named_at_length one; struct plain two;`;

async function layouts(members: string): ReturnType<typeof readStructs> {
  return await readStructs(await compile(program(members)));
}

describe('structs', () => {
  it('differ by the places of their members', async () => {
    const before = await layouts('int a; long b;');
    expect(changedStructs(before, await layouts('int a; long b;'))).toEqual([]);
    // In the hole: the size stays.
    expect(changedStructs(before, await layouts('int a; int c; long b;'))).toEqual([
      'struct named_at_length',
    ]);
    expect(changedStructs(before, await layouts('long b; int a;'))).toEqual(['struct named_at_length']);
  });
});
