/**
 * What the core is given by somebody who means no good, or by a program that has gone wrong. On an unmodified kernel, one
 * guest for all.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT } from '../support/live/host-cli.ts';
import {
  bootLiveGuest,
  expectUndone,
  guestKsplice,
  look,
  UPDATE,
  untouched,
  updated,
} from '../support/live/live-guest.ts';
import { FIXED_FUNCTION, UPDATE_ID } from '../support/live/update-file.ts';
import { runScript } from '../support/vm/run-script.ts';
import { testModuleFile, testModulePath } from '../support/vm/test-module.ts';
import type { Vm } from '../support/vm/vm.ts';

const USER = 1000;
const SEED = 20_261_127;

/** Taint of a WARN or an oops (Documentation/admin-guide/tainted-kernels.rst): it stays when the log is full. */
const TAINT_OF_TROUBLE = (1 << 9) | (1 << 7);

let vm: Vm;

beforeAll(async () => {
  const modules = ['bad_tables', 'held', 'held_update', 'listed'];
  const files = await Promise.all(modules.map(async (name) => await testModuleFile(name)));
  vm = await bootLiveGuest(files, { programs: ['core_garbage', 'core_lists'] });
});

afterAll(async () => {
  await vm?.close();
});

async function expectNoTrouble(): Promise<void> {
  const { stdout } = await vm.run('cat /proc/sys/kernel/tainted');
  expect(Number(stdout) & TAINT_OF_TROUBLE).toBe(0);
  expect((await look(vm)).trouble).toEqual([]);
}

describe('an unprivileged user', () => {
  it('reads and writes nothing but the number of the interface', async () => {
    for (const command of ['apply', 'install']) {
      expect(await guestKsplice(vm, `${command} ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    }
    const places = '/sys/kernel/ksplice /run/ksplice /var/lib/ksplice';
    // By trying, since modes are not all there is.
    const each = `for f in $(cat /tmp/files); do
      (exec <"$f") 2>/dev/null && echo "reads $f"; (exec >>"$f") 2>/dev/null && echo "writes $f"; done; true`;
    await vm.run(`find ${places} -type f >/tmp/files; chmod 644 /tmp/files`);
    const files = (await vm.run('cat /tmp/files')).stdout;
    for (const name of [
      'control',
      'interface',
      'stage',
      'journal',
      'manifest.json',
      'lock',
      `${UPDATE_ID}.ksplice`,
    ]) {
      expect(files).toContain(`/${name}\n`);
    }
    const { stdout } = await vm.run(each, { uid: USER });
    expect(stdout).toBe('reads /sys/kernel/ksplice/interface\n');
    const listed = await vm.run('ls /run/ksplice /var/lib/ksplice 2>&1', { uid: USER });
    expect(listed.stdout.match(/Permission denied/g)).toHaveLength(2);
    const garbage = await vm.run(`core_garbage ${SEED} 500 2 ${UPDATE_ID}`, { uid: USER });
    expect(garbage.stdout).toMatch(/^accepted 0 [^:]*EACCES/);
    expect(await look(vm)).toEqual(updated);
  });
});

async function script(text: string, timeoutMs?: number): Promise<string> {
  return await runScript(vm, text, timeoutMs);
}

const CONTROL = '/sys/kernel/ksplice/control';
/** Updates that replace nothing (test/guest/modules/listed.c): more than fit in a list. */
const LISTED = Array.from({ length: 70 }, (_, number) => `listed_${number}`);

describe('the core', () => {
  beforeAll(async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    await script(`dmesg -n 1; insmod ${testModulePath('held')} && echo create held >${CONTROL} &&
      echo pin held held >${CONTROL} && insmod ${testModulePath('held_update')}`);
  });

  afterAll(async () => {
    await vm?.run('dmesg -n 7');
  });

  /** That each of the two updates is what its file in sysfs says. */
  async function expectTrueStages(): Promise<void> {
    const { entries = [], answer } = await look(vm);
    expect(entries).toHaveLength(2);
    for (const [id, isNew] of [
      [UPDATE_ID, answer === 'EPERM'],
      ['held', (await script("cut -d' ' -f1,2 /proc/held")) === 'new new'],
    ] as const) {
      expect(entries).toContainEqual(
        expect.stringMatching(isNew ? `^${id} applied$` : `^${id} (preparing|reversed)$`),
      );
    }
    await expectNoTrouble();
  }

  it('takes 20,000 writes of garbage by 1 and by 4 threads, and is what it was', async () => {
    for (const [seed, threads] of [
      [SEED, 1],
      [SEED + 1, 4],
    ] as const) {
      const { stdout, exitCode } = await vm.run(`core_garbage ${seed} 10000 ${threads} ${UPDATE_ID} held`, {
        timeoutMs: 300_000,
      });
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^accepted [1-9]\d\d.* EINVAL \d{4}/);
      // What was created is forgotten; the updates are applied or not.
      await expectTrueStages();
    }
    // Many of the lists among them were valid.
    const switches = await script(`sed -n 's/^switch //p' /sys/kernel/ksplice/held/timing`);
    expect(Number(switches)).toBeGreaterThan(20);
    await vm.run(`for id in ${UPDATE_ID} held; do echo reversed >/sys/kernel/ksplice/$id/stage; done; true`);
    expect((await look(vm)).answer).toBe(untouched.answer);
  });

  async function reverseAll(): Promise<void> {
    await script(`cd /sys/kernel/ksplice; for stage in */stage; do
      grep -qx applied $stage && echo reversed >$stage; done; true`);
  }

  it('switches all of a valid list, and nothing by any other', async () => {
    await script(`for id in ${LISTED.join(' ')}; do echo create $id >${CONTROL} || exit; done
      insmod ${testModulePath('listed')} count=${LISTED.length}`);
    const lists = `core_lists ${SEED} 600 ${UPDATE_ID} held ${LISTED.join(' ')}`;
    expect(await script(lists, 600_000)).toMatch(
      /^lists 600 accepted [1-9]\d+ ENOENT [1-9]\d* E2BIG [1-9]\d* EINVAL [1-9]\d+$/,
    );
    await expectNoTrouble();
  });

  it('counts the hooks of a list', async () => {
    await reverseAll();
    const [first, second] = LISTED;
    const load = async (hooks: number): Promise<string> =>
      await script(`rmmod listed; insmod ${testModulePath('listed')} count=2 hooks=${hooks}`);
    await load(5002);
    const refused = await vm.run(`echo apply ${first} ${second} >${CONTROL}`);
    expect(refused.stderr).toContain('Argument list too long');
    expect(await script('cat /sys/module/listed/parameters/applied')).toBe('0');
    await load(5000);
    await script(`echo apply ${first} ${second} >${CONTROL}`);
    expect(await script('cat /sys/module/listed/parameters/applied')).toBe('5000');
    await script(`echo reverse ${second} ${first} >${CONTROL}`);
    expect(await script('cat /sys/module/listed/parameters/applied')).toBe('0');
    await script(`rmmod listed && insmod ${testModulePath('listed')} count=${LISTED.length}`);
    await expectNoTrouble();
  });

  it('takes a module that was noted when it was not loaded, and none that an update is applied without', async () => {
    const load = `insmod ${testModulePath('listed')} count=`;
    const update = (id: string): string => `echo create ${id} >${CONTROL} && cd /sys/kernel/ksplice/${id}`;
    await script(
      `rmmod listed && ${update('later')} && echo 1 >partial && echo pin later listed >${CONTROL}`,
    );
    await script(`${load}0 && echo pin later listed >${CONTROL}`);
    expect(await script('grep listed /proc/modules')).toMatch(/^listed \d+ 1 /);
    expect((await vm.run('rmmod listed')).exitCode).not.toBe(0);
    await script(`echo forget later >${CONTROL} && ${update('without')} && echo 1 >partial`);
    await script(`echo skip without listed $(cat /sys/module/listed/srcversion) >${CONTROL}`);
    const refused = await vm.run(`echo pin without listed >${CONTROL}`);
    expect(refused.stderr).toContain('busy');
    expect(await script('cat /sys/kernel/ksplice/without/abort_cause')).toBe('module_busy');
    await script(`rmmod listed && echo forget without >${CONTROL} && ${load}${LISTED.length}`);
    await expectNoTrouble();
  });

  it.each([
    ['functions', 'functions=5000', 'functions=5001'],
    ['pieces of functions', 'functions=1 ranges=10000', 'functions=1 ranges=10001'],
  ])('counts the %s of a list', async (_, most, tooMany) => {
    await reverseAll();
    const [first, second] = LISTED;
    for (const [given, error, cause] of [
      // They are the same functions.
      [most, 'Device or resource busy', 'module_busy'],
      [tooMany, 'Argument list too long', 'unexpected'],
    ]) {
      await script(`rmmod listed && insmod ${testModulePath('listed')} count=2 ${given}`);
      const refused = await vm.run(`echo apply ${first} ${second} >${CONTROL}`);
      expect(refused.stderr).toContain(error);
      const state = `cd /sys/kernel/ksplice && cat ${first}/stage ${second}/stage ${second}/abort_cause`;
      expect(await script(state)).toBe(`reversed\nreversed\n${cause}`);
    }
    await script(`rmmod listed && insmod ${testModulePath('listed')} count=${LISTED.length}`);
    await expectNoTrouble();
  });

  it('carries out nothing of a command that sysfs has cut', async () => {
    const stages = `cd /sys/kernel/ksplice && cat listed_0/stage listed_0/debug`;
    const before = await script(stages);
    for (const [file, command] of [
      [CONTROL, 'apply listed_0'],
      [CONTROL, 'create cut_off'],
      ['/sys/kernel/ksplice/listed_0/stage', 'applied'],
      ['/sys/kernel/ksplice/listed_0/debug', '1'],
    ]) {
      // One write of 8,192 bytes: the command, blanks or ends of lines up to the page and beyond.
      const blank = file === CONTROL ? ' ' : '\\n';
      const written = await vm.run(
        `(printf '${command}'; yes '' | head -c 8178 | tr '\\n' '${blank}') | dd iflag=fullblock bs=8192 count=1 of=${file}`,
      );
      expect(written.stderr, command).toContain('Invalid argument');
      expect(await script(stages), command).toBe(before);
    }
    expect(await script('ls /sys/kernel/ksplice')).not.toContain('cut_off');
  });

  it('takes lists of 64, and not of one more', async () => {
    const applied = '/sys/module/listed/parameters/applied';
    await reverseAll();
    expect(await script(`cat ${applied}`)).toBe('0');
    const [most, tooMany] = [LISTED.slice(0, 64).join(' '), LISTED.slice(0, 65).join(' ')];
    for (const [verb, before, after] of [
      ['apply', '0', '64'],
      ['reverse', '64', '0'],
    ]) {
      const refused = await vm.run(`echo ${verb} ${tooMany} >${CONTROL}`);
      expect(refused.stderr).toMatch(/Argument list too long/);
      expect(await script(`cat ${applied}`)).toBe(before);
      await script(`echo ${verb} ${most} >${CONTROL}`);
      expect(await script(`cat ${applied}`)).toBe(after);
      // In one stop.
      const numbers = await script(`cd /sys/kernel/ksplice; for id in ${most}; do
        grep switch $id/timing; done | sort | uniq -c`);
      expect(numbers).toMatch(/^64 switch \d+$/);
    }
    await script(
      `rmmod listed && for id in ${LISTED.join(' ')}; do echo forget $id >${CONTROL} || exit; done`,
    );
    await script(`echo applied >/sys/kernel/ksplice/${UPDATE_ID}/stage`);
    await expectTrueStages();
    // No reference was lost: the core goes with the last update.
    await script(`rmmod held_update && echo forget held >${CONTROL} && rmmod held`);
    await expectUndone(vm);
  });
});

/** Shell text for the address of a symbol, of the kernel or of a module. */
function addressOf(name: string, module?: string): string {
  const end = module === undefined ? '$' : `.*\\[${module}\\]`;
  return `0x$(grep ' ${name}${end}' /proc/kallsyms | cut -d' ' -f1)`;
}

/** What bad_tables.ko says that the core answered, and that it should have. */
function answersOf(log: string): readonly Readonly<Record<'name' | 'given' | 'expected', string>>[] {
  let said = '';
  const answers = [];
  for (const line of log.split('\n')) {
    const [, name, given = '', expected = ''] =
      /bad_tables: (\w+) (-?\d+), expected (-?\d+ .*)$/.exec(line) ?? [];
    if (name === undefined) {
      [, said = ''] = /\] ksplice: (.*)$/.exec(line) ?? [];
    } else {
      answers.push({ name, given: `${given} ${said}`, expected });
      said = '';
    }
  }
  return answers;
}

/** Reasons for a refusal in the core's source. */
async function reasonsOf(...files: readonly string[]): Promise<readonly string[]> {
  const sources = await Promise.all(files.map((file) => readFile(join(CHECKOUT, 'core', file), 'utf8')));
  return [...sources.join('').matchAll(/(?:return|why =|\?) "([^"]+)"/g)].map(([, reason = '']) => reason);
}

describe('tables that are wrong', () => {
  const load = `/sbin/insmod ${testModulePath('bad_tables')} id=victim seed=${SEED}
    register_at=${addressOf('ksplice_register', 'ksplice')} unregister_at=${addressOf('ksplice_unregister', 'ksplice')}
    taken_at=${addressOf(FIXED_FUNCTION)} blacklisted_at=${addressOf('do_syscall_64')} text_end=${addressOf('_etext')}
    pinned_at=`.replaceAll('\n', ' ');
  let pinned: string;

  /** By name, the answers that are not as expected. */
  async function ask(): Promise<Readonly<Record<string, string>>> {
    await script(`dmesg -c >/dev/null; ${load}${pinned} && rmmod bad_tables`, 120_000);
    const answers = answersOf(await vm.kernelLog());
    expect(answers.length).toBeGreaterThan(85);
    const wrong = answers.filter(({ given, expected }) => {
      const [errno, ...words] = expected.split(' ');
      return !(given.startsWith(`${errno} `) && given.includes(words.join(' ')));
    });
    return Object.fromEntries(wrong.map(({ name, given }) => [name, given]));
  }

  beforeAll(async () => {
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({ exitCode: 0 });
    await script(`insmod ${testModulePath('held')} && echo create victim >${CONTROL} &&
      echo pin victim held >${CONTROL} && dmesg -n 1`);
    pinned = await script(`echo ${addressOf('held', 'held')}`);
  });

  afterAll(async () => {
    await script(`echo forget victim >${CONTROL}; dmesg -n 7`);
    await expectUndone(vm);
  });

  it('are refused, for a reason that fits, and nobody follows where they lead', async () => {
    expect(await ask()).toEqual({});
    await expectNoTrouble();
  });

  it('are wrong in every way that the core looks for', async () => {
    const said = answersOf(await vm.kernelLog()).map(({ given }) => given);
    const reasons = await reasonsOf('bounds.c', 'validate.c', 'hooks.c');
    expect(reasons.length).toBeGreaterThan(25);
    expect(reasons.filter((reason) => !said.some((given) => given.endsWith(`: ${reason}`)))).toEqual([]);
  });

  it('are right when the other update is not applied any more, and wrong when the pinned module has gone', async () => {
    await script(`echo reversed >/sys/kernel/ksplice/${UPDATE_ID}/stage && rmmod -f held`);
    const reason = 'victim: a_function: not text of the kernel or of a pinned module';
    expect(await ask()).toEqual({
      taken: '0 ',
      part_taken: '0 ',
      second_taken: '0 ',
      start_in_pinned: `-22 ${reason}`,
    });
    await expectNoTrouble();
    await script(`echo applied >/sys/kernel/ksplice/${UPDATE_ID}/stage`);
  });

  it('are refused or harmless if made by chance, 5,000 of them', async () => {
    await script(`${load}${pinned} rounds=5000`, 300_000);
    const [, accepted] =
      /bad_tables: 5000 random ones, (\d+) accepted, the sound one 0$/m.exec(await vm.kernelLog()) ?? [];
    // Some fields may hold anything, as where the entry of the first function lies in its range.
    expect(Number(accepted)).toBeGreaterThan(0);
    expect(Number(accepted)).toBeLessThan(2500);
    await expectNoTrouble();
    await script('rmmod bad_tables');
  });
});
