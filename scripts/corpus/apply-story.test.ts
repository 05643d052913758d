import { describe, expect, test } from 'vitest';
import { LostVmError, VmTimeoutError } from '../../test/support/vm/lost-vm-error.ts';
import { type StoryGuest, type Told, tellApply } from './apply-story.ts';

type Answer = Partial<Told> | Error;

/** A guest that answers each command with what the first rule says that it contains; with success otherwise. */
function guestOf(
  rules: readonly (readonly [string, Answer | (() => Answer)])[],
  residents: readonly string[] = [],
): { readonly guest: StoryGuest; readonly commands: string[] } {
  const commands: string[] = [];
  let log = 'older lines\n';
  const run = async (command: string): Promise<Told & { readonly ms: number }> => {
    commands.push(command);
    const mark = /^echo '(.*)' >\/dev\/kmsg$/.exec(command)?.[1];
    if (mark !== undefined) log += `${mark}\nnewer lines\n`;
    const rule = rules.find(([part]) => command.includes(part))?.[1] ?? {};
    const answer = typeof rule === 'function' ? rule() : rule;
    if (answer instanceof Error) throw answer;
    return await Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ms: 1, ...answer });
  };
  const vm = {
    run,
    put: async (): Promise<void> => await Promise.resolve(),
    kernelLog: async (): Promise<string> => await Promise.resolve(log),
  };
  return { guest: { vm, residents: new Set(residents) }, commands };
}

const facts = { id: 'u_1', modules: ['fuse'], staysResident: false };
const LOOK = '/proc/modules';

async function tell(
  guest: StoryGuest,
  more: Partial<typeof facts> = {},
): Promise<Awaited<ReturnType<typeof tellApply>>> {
  return await tellApply(guest, {
    facts: { ...facts, ...more },
    update: new Uint8Array(),
    onCommand: () => undefined,
    pauseMs: 0,
  });
}

/** First words of the commands, without the looks around. */
function steps(commands: readonly string[]): readonly string[] {
  return commands
    .filter((command) => !/^(echo|cut) /.test(command))
    .map((command) => command.split(' ').slice(0, 2).join(' '));
}

describe('the way of an update through a guest', () => {
  test('its module, apply, load, undo, and the module goes again', async () => {
    const { guest, commands } = guestOf([['refcnt', { stdout: 'fuse 1\n' }]]);
    const story = await tell(guest);
    expect(steps(commands)).toEqual([
      '/sbin/modprobe fuse',
      'ksplice apply',
      'smoke_load /tmp',
      'ksplice undo',
      '/sbin/modprobe -r',
    ]);
    expect(story).toMatchObject({ left: [], applied: { exitCode: 0 }, undone: { exitCode: 0 } });
    expect(story.log).toContain('newer');
    expect(story.log).not.toContain('older');
  });

  test('a module that cannot be loaded is the end', async () => {
    const { guest, commands } = guestOf([['modprobe', { exitCode: 1, stderr: 'No such device\n' }]]);
    const story = await tell(guest);
    expect(story.notLoaded).toEqual({ module: 'fuse', words: 'No such device' });
    expect(commands).toHaveLength(1);
  });

  test('what was refused is neither loaded nor undone, but looked for', async () => {
    const { guest, commands } = guestOf([
      ['ksplice apply', { exitCode: 4 }],
      [LOOK, { stdout: 'ksplice\n/sys/kernel/ksplice/u_1/\n' }],
    ]);
    const story = await tell(guest);
    expect(steps(commands)).toEqual(['/sbin/modprobe fuse', 'ksplice apply', '/sbin/modprobe -r']);
    expect(story.left).toEqual(['ksplice', '/sys/kernel/ksplice/u_1/']);
  });

  test('an undo that finds somebody in the code is tried again, three times in all', async () => {
    let tries = 0;
    const busyUntil = (last: number) => (): Answer => {
      tries += 1;
      return { exitCode: tries < last ? 5 : 0 };
    };
    const first = guestOf([['ksplice undo', busyUntil(3)]]);
    expect((await tell(first.guest)).undone?.exitCode).toBe(0);
    expect(tries).toBe(3);
    tries = 0;
    const second = guestOf([['ksplice undo', busyUntil(9)]]);
    expect((await tell(second.guest)).undone?.exitCode).toBe(5);
    expect(tries).toBe(3);
  });

  test('a module with more users than before is left in use', async () => {
    let looks = 0;
    const refcnt = (): Answer => {
      looks += 1;
      return { stdout: `fuse ${looks}\n` };
    };
    const { guest } = guestOf([['refcnt', refcnt]]);
    expect((await tell(guest)).left).toEqual(['users of fuse 2, before: fuse 1']);
  });

  test('residents stay, this one and those before it; it may keep what it is bound to', async () => {
    const stdout = [
      'ksplice_u_1',
      'ksplice_u_0',
      'ksplice',
      '/sys/kernel/ksplice/u_0/',
      '/sys/kernel/ksplice/u_1/',
    ].join('\n');
    let looks = 0;
    const refcnt = (): Answer => ({ stdout: `fuse ${(looks += 1)}\n` });
    const { guest } = guestOf(
      [
        [LOOK, { stdout }],
        ['refcnt', refcnt],
      ],
      ['u_0'],
    );
    expect((await tell(guest, { staysResident: true })).left).toEqual([]);
    const other = guestOf([[LOOK, { stdout }]], ['u_0']);
    expect((await tell(other.guest)).left).toEqual(['ksplice_u_1', '/sys/kernel/ksplice/u_1/']);
  });

  test('a resident of before that is gone is told', async () => {
    const { guest } = guestOf([[LOOK, { stdout: 'ksplice\n/sys/kernel/ksplice/u_0/\n' }]], ['u_0']);
    expect((await tell(guest)).left).toEqual(['ksplice_u_0 is gone']);
  });

  test('a dead guest ends the tale', async () => {
    const { guest } = guestOf([['smoke_load', new LostVmError('guest: panic', 'tail', undefined)]]);
    const story = await tell(guest);
    expect(story.died).toMatch(/^guest: panic\n/);
    expect(story).toMatchObject({ applied: { exitCode: 0 } });
    expect(story.undone).toBeUndefined();
  });

  test('a command that hangs does, too, with the log of that time', async () => {
    const { guest } = guestOf([['smoke_load', new VmTimeoutError('guest: killed', '', '')]]);
    const story = await tell(guest);
    expect(story.timedOut).toMatch(/^guest: killed/);
    expect(story.log).toContain('newer');
  });

  test('what is wrong with ourselves is thrown', async () => {
    const { guest } = guestOf([['ksplice apply', new TypeError('oops')]]);
    await expect(tell(guest)).rejects.toThrow(TypeError);
  });

  test('a log that has lost its beginning counts as trouble', async () => {
    const { guest } = guestOf([['refcnt', { stdout: 'fuse 1\n' }]]);
    const vm = { ...guest.vm, kernelLog: async () => await Promise.resolve('the end\n') };
    expect((await tell({ ...guest, vm })).log).toMatch(
      /^WARNING: the kernel log has overflowed since\nthe end/,
    );
  });
});
