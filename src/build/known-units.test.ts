import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { knownSources, readKnownUnit, writeKnownUnit } from './known-units.ts';

let buildDir = '';

beforeEach(async () => {
  buildDir = await mkdtemp(path.join(tmpdir(), 'known-units-'));
});

afterEach(async () => {
  await rm(buildDir, { recursive: true });
});

describe('units that kbuild was asked about', () => {
  it('are read as they were written, those in no list too', async () => {
    const pipe = { command: 'cmd_fs/pipe.o := gcc -c', module: undefined };
    const entry = { command: 'cmd_arch/x86/entry/entry_64.o := gcc -c', module: 'entry_64' };
    const absent = { command: undefined, module: undefined };
    await writeKnownUnit(buildDir, 'fs/pipe.c', pipe);
    await writeKnownUnit(buildDir, 'arch/x86/entry/entry_64.S', entry);
    await writeKnownUnit(buildDir, 'fs/absent.c', absent);
    expect(await readKnownUnit(buildDir, 'fs/pipe.c')).toEqual(pipe);
    expect(await readKnownUnit(buildDir, 'arch/x86/entry/entry_64.S')).toEqual(entry);
    expect(await readKnownUnit(buildDir, 'fs/absent.c')).toEqual(absent);
    expect(await knownSources(buildDir)).toEqual(['arch/x86/entry/entry_64.S', 'fs/absent.c', 'fs/pipe.c']);
  });

  it('are not known before', async () => {
    expect(await readKnownUnit(buildDir, 'fs/pipe.c')).toBeUndefined();
  });
});
