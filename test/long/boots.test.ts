/**
 * One update, checked against one kernel that was booted in every way that changes how it rewrites its code.
 *
 * The update has units of all kinds: indirect calls, static calls, jump labels, alternatives, paravirtualised operations,
 * lock prefixes. Each boot has to explain all of their bytes, and show what it was booted for.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../support/bundle.ts';
import { patchFile } from '../support/case/read-cases.ts';
import { hostBundle, hostKsplice } from '../support/live/host-cli.ts';
import { fixPatch } from '../support/live/update-file.ts';
import { TEST_RELEASE, testCacheDir, testImage } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';

const CASES = ['static-call', 'tracepoint', 'syscall', 'exception-table', 'static-function'] as const;
const ID = 'boots';

const resultSchema = v.object({
  units: v.array(
    v.object({
      unit: v.string(),
      matches: v.boolean(),
      explained: v.record(v.string(), v.number()),
      choices: v.record(v.string(), v.string()),
    }),
  ),
});

interface Boot {
  readonly append: string;
  readonly cpus?: number;
  /** Run before the check. */
  readonly before?: string;
  /** What must be among the contents, and among the choices. */
  readonly shows: readonly string[];
  readonly choices?: Readonly<Record<string, string>>;
  /** What must not. */
  readonly lacks: readonly string[];
}

const boots: readonly Boot[] = [
  {
    append: '',
    shows: ['fentry: nop', 'lock prefix: kept', 'jump label: nop', 'static call: direct'],
    lacks: [],
  },
  {
    append: 'spectre_v2=retpoline',
    shows: ['retpoline: thunk'],
    choices: { 'indirect branches': 'thunk' },
    lacks: ['retpoline: indirect branch', 'retpoline: lfence'],
  },
  {
    append: 'spectre_v2=retpoline,lfence',
    shows: ['retpoline: lfence'],
    choices: { 'lfence before indirect branches': 'on' },
    lacks: ['retpoline: thunk', 'retpoline: indirect branch'],
  },
  {
    append: 'mitigations=off',
    shows: ['retpoline: indirect branch', 'return: plain'],
    choices: { returns: 'plain', 'indirect branches': 'direct' },
    lacks: ['retpoline: thunk', 'return: thunk'],
  },
  {
    // Indirect branches get thunks of their own only where retpolines are not used, which an emulated CPU needs.
    append: 'indirect_target_selection=force',
    shows: ['return: ITS thunk', 'return: plain', 'retpoline: thunk'],
    choices: { 'indirect branches': 'thunk' },
    lacks: ['return: thunk'],
  },
  { append: 'preempt=full', shows: ['static call: direct'], lacks: [] },
  { append: 'preempt=none', shows: ['static call: direct'], lacks: [] },
  { append: '', cpus: 1, shows: ['lock prefix: one CPU'], lacks: ['lock prefix: kept'] },
  {
    append: 'maxcpus=1',
    cpus: 2,
    before: 'echo 1 >/sys/devices/system/cpu/cpu1/online',
    shows: ['lock prefix: kept'],
    lacks: ['lock prefix: one CPU'],
  },
  { append: 'nokaslr', shows: ['fentry: nop'], lacks: [] },
];

describe('an update fits a kernel that was booted', () => {
  let folder: string;
  let update: string;
  let program: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-boots-'));
    update = join(folder, `${ID}.ksplice`);
    const fix = join(folder, 'fix.patch');
    await writeFile(fix, await fixPatch());
    const patches = [fix, ...CASES.map((name) => patchFile(name, 'fix.patch'))];
    const flags = patches.flatMap((path) => ['--patch', path]);
    const create = ['create', ...flags, '--kernel', TEST_RELEASE, '--id', ID, '-o', update];
    const { exitCode, stderr } = await hostKsplice(await hostBundle(), create, folder);
    expect(exitCode, stderr).toBe(0);
    program = await buildBundle(testCacheDir());
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it.each(boots.map((boot) => [`${boot.append || 'as it is'}, ${boot.cpus ?? 2} CPUs`, boot] as const))(
    'with: %s',
    async (_, { append, cpus = 2, before, shows, choices = {}, lacks }) => {
      await using vm = await Vm.boot({
        image: await testImage(),
        cacheDir: testCacheDir(),
        bundle: program,
        files: [{ path: `/root/${ID}.ksplice`, from: update }],
        append,
        cpus,
      });
      if (before !== undefined) expect((await vm.run(before)).exitCode).toBe(0);
      const { exitCode, stdout, stderr } = await vm.run(`ksplice check /root/${ID}.ksplice --json`);
      expect(exitCode, stdout + stderr).toBe(0);
      const { units } = v.parse(resultSchema, JSON.parse(stdout));
      expect(units).toHaveLength(CASES.length + 1);
      const found = new Set(units.flatMap(({ explained }) => Object.keys(explained)));
      expect([...found]).toEqual(expect.arrayContaining([...shows]));
      for (const what of lacks) expect([...found]).not.toContain(what);
      const chosen: Record<string, string> = Object.assign({}, ...units.map((unit) => unit.choices));
      expect(chosen).toMatchObject(choices);
    },
  );
});
