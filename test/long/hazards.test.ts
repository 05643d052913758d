/**
 * Ways to break a kernel that an update could take, each twice: done by a module that knows no better, to show that the
 * danger is real, and as an update does it or refuses to.
 *
 * | what | the harm | what is done instead |
 * |---|---|---|
 * | a branch on a key that is read-only since boot | the loader writes to the key, and dies with its locks held | linked as it is now (test/cases/frozen-key) |
 * | a jump over a place of a jump label | BUG when the key is turned | refused |
 * | a jump over a static call | BUG when the call is turned; over one that is a jump itself: ours is gone | refused |
 * | a photograph of bytes that the kernel rewrites | `lock` is lost with a second CPU | refused |
 * | code known by address only | its module goes away | pinned first |
 * | the unwinder on a task in a kretprobe | a warning | its stack is scanned (also test/vm/safe-point.test.ts) |
 * | a function of the same name | kprobes by name fail | replacements have names of their own |
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeLog } from '../support/case/kernel-log.ts';
import { HELD, HeldGuest } from '../support/live/held.ts';
import { bootLiveGuest, guestKsplice, look, untouched } from '../support/live/live-guest.ts';
import { type Edit, editedUpdate, madePath } from '../support/live/made-update.ts';
import { testCacheDir, testImage } from '../support/vm/test-kernel.ts';
import { testModuleFile, testModulePath } from '../support/vm/test-module.ts';
import { Vm } from '../support/vm/vm.ts';

const HAZARD = testModulePath('hazard');
/** Stands for the address in frozen_key.ko; its lowest bits are flags. */
const KEY_ADDRESS = 0x1122334455667788n;
/** New code that shows the byte in the place of its own lock prefix. */
const LOCKED: Edit = {
  id: 'locked',
  source: 'fs/proc/version.c',
  change: [
    '{\n\tseq_printf(m, linux_proc_banner,',
    `{
	static int shown;
	const u8 *lock;

	asm volatile("lea 1f(%%rip), %0\\n1:" LOCK_PREFIX "incl %1" : "=&r" (lock), "+m" (shown));
	seq_printf(m, "lock %02x, shown %d: ", *lock, shown);
	seq_printf(m, linux_proc_banner,`,
  ],
};

async function bootVictim(...modules: readonly string[]): Promise<Vm> {
  const files = await Promise.all(modules.map(testModuleFile));
  return await Vm.boot({ image: await testImage(), cacheDir: testCacheDir(), files });
}

async function expectHarm(vm: Vm, insmod: string, harm: RegExp): Promise<void> {
  const victim = await vm.start(insmod);
  await expect.poll(() => vm.console.text, { timeout: 60_000 }).toMatch(harm);
  victim.kill('SIGKILL');
}

describe('a kernel is harmed by', () => {
  it('a branch on a key that is read-only since boot: the loader of modules writes to it', async () => {
    await using vm = await bootVictim();
    const { stdout } = await vm.run(`grep ' randomize_kstack_offset$' /proc/kallsyms`);
    const key = BigInt(`0x${stdout.split(' ')[0] ?? ''}`);
    expect(key).toBeGreaterThan(0n);
    const { from = '' } = await testModuleFile('frozen_key');
    const module = await readFile(from);
    for (let at = 0; at + 8 <= module.length; at += 8) {
      const value = module.readBigUInt64LE(at);
      if (value >= KEY_ADDRESS && value < KEY_ADDRESS + 4n)
        module.writeBigUInt64LE(key + (value - KEY_ADDRESS), at);
    }
    await vm.put('/root/frozen_key.ko', module);
    await expectHarm(vm, 'insmod /root/frozen_key.ko', /BUG: unable to handle page fault[^]*jump_label/);
  });

  it('a jump over the place of a jump label, when its key is turned', async () => {
    await using vm = await bootVictim('hazard');
    await expectHarm(vm, `insmod ${HAZARD} mode=overwrite`, /kernel BUG at arch\/x86\/kernel\/jump_label\.c/);
  });

  it('a jump over a static call, when the call is turned', async () => {
    await using vm = await bootVictim('hazard');
    await expectHarm(
      vm,
      `insmod ${HAZARD} mode=overwrite-call`,
      /unexpected static_call insn opcode 0xe9 at call\+0x5[^]*kernel BUG at arch\/x86\/kernel\/static_call\.c/,
    );
  });
});

describe('a kernel that has two CPUs', () => {
  let guest: HeldGuest;

  beforeAll(async () => {
    guest = await HeldGuest.boot({ append: 'preempt=full', cpusInTurn: true, modules: ['hazard'] });
  });

  afterAll(async () => {
    await guest?.close();
  });

  it('warns when a task is unwound that was preempted in a function with a kretprobe; we do not unwind it', async () => {
    await guest.script(`cd /sys/kernel/tracing
      echo r:probes/back held:held_runnable >>kprobe_events && echo 1 >events/probes/back/enable`);
    const held = await guest.hold('plain', 'runnable-callee');
    const { cause, log } = await guest.tryOnce('applied');
    expect(cause).toBe('code_busy');
    expect(judgeLog(log, []).trouble).toEqual([]);
    const pid = await guest.script('pidof thread_kinds');
    // It is on a CPU most of the time; while it is, nothing is unwound.
    await guest.script(`i=0; until dmesg | grep -q 'WARNING: .*rethook'; do
      i=$((i+1)); [ $i -lt 300 ] || exit 1
      for j in 1 2 3 4; do (while [ ! -e /run/enough ]; do :; done) & done
      insmod ${HAZARD} mode=unwind pid=${pid}; rmmod hazard; touch /run/enough; wait; rm /run/enough
    done`);
    await guest.letGo([held]);
    await guest.script(
      'cd /sys/kernel/tracing; echo 0 >events/probes/back/enable; echo -:probes/back >>kprobe_events',
    );
  });

  it('finds no function by name of which there are two; replacements have names of their own', async () => {
    const probe = `echo 'p:probes/named ip_options_get' >>/sys/kernel/tracing/kprobe_events`;
    // The update of ip_options_get is applied.
    await guest.script(`${probe} && echo -:probes/named >>/sys/kernel/tracing/kprobe_events`);
    await guest.script(`insmod ${HAZARD}`);
    expect((await guest.vm.run(probe)).exitCode).not.toBe(0);
    await guest.script(`rmmod hazard && ${probe} && echo -:probes/named >>/sys/kernel/tracing/kprobe_events`);
  });

  it('rewrites a jump label where an update would put its jump: refused, and the key can be turned', async () => {
    await guest.reload('only=held_branch');
    const { cause, log } = await guest.tryOnce('applied');
    expect(cause).toBe('code_busy');
    expect(log).toMatch(/held: a jump label owns bytes at held_branch\+0x5/);
    expect(await guest.script('echo key >/proc/held; cat /proc/held')).toContain('branch 1');
    expect(await guest.script('echo key >/proc/held; cat /proc/held')).toContain('branch 0');
  });

  it('takes a jump over a static call for its own where the call is a jump itself: the old code is back', async () => {
    await guest.script(`insmod ${HAZARD} mode=overwrite-tail && rmmod hazard`);
    expect(await guest.vm.kernelLog()).toMatch(/hazard: answered 3, then 2$/m);
  });

  it.for(['held_call', 'held_tail'])(
    'rewrites the static call of %s where an update would put its jump: refused, and the call can be turned',
    async (name) => {
      await guest.reload(`only=${name}`);
      const { cause, log } = await guest.tryOnce('applied');
      expect(cause).toBe('code_busy');
      expect(log).toMatch(new RegExp(`held: a static call owns bytes at ${name}\\+0x5`));
      expect(await guest.script('echo call >/proc/held; cat /proc/held')).toContain('call 3 1');
      expect(await guest.script('echo call >/proc/held; cat /proc/held')).toContain('call 2 0');
    },
  );

  it('lets a module go that is known by address only; one that is pinned stays', async () => {
    await guest.script(`insmod ${HAZARD} mode=reach function=held:held`);
    expect((await guest.vm.run('/sbin/rmmod held')).stderr).toMatch(/in use/);
    await guest.script('rmmod held_update && echo forget held >/sys/kernel/ksplice/control');
    await guest.script('rmmod held && rmmod hazard');
    // And without a pin the core takes no function of it.
    await guest.script(`insmod ${testModulePath('held')} && echo create held >/sys/kernel/ksplice/control`);
    expect((await guest.vm.run(`insmod ${testModulePath('held_update')}`)).exitCode).not.toBe(0);
    expect(await guest.vm.kernelLog()).toMatch(/held: held: not text of the kernel or of a pinned module/);
  });
});

describe('a kernel that booted with one CPU', () => {
  it('puts `lock` in place with the second one: bytes that were saved before must not be written back', async () => {
    const guest = await HeldGuest.boot({ append: 'maxcpus=1' });
    try {
      await guest.reload('only=held_locked');
      expect(await guest.script('cat /proc/held')).toContain('lock 3e');
      const { cause, log } = await guest.tryOnce('applied');
      expect(cause).toBe('code_busy');
      expect(log).toMatch(/held: a lock prefix owns bytes at held_locked\+0x5/);
      await guest.reload('');
      await guest.change('applied');
      await guest.script('echo 1 >/sys/devices/system/cpu/cpu1/online');
      // What a photograph from before would take away again.
      expect(await guest.script('cat /proc/held')).toMatch(/^new new .* lock f0$/);
      await guest.change('reversed');
      expect(await guest.script(`cat ${HELD}/stage; cat /proc/held`)).toMatch(
        /^reversed\nold old .* lock f0$/,
      );
      const whole = await guest.vm.kernelLog();
      expect(judgeLog(whole, []).trouble, whole).toEqual([]);
    } finally {
      await guest.close();
    }
  });

  it('puts it in place in the code of an update, too, which goes on, and can be undone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ksplice-locked-'));
    try {
      const update = await editedUpdate(folder, LOCKED);
      await using vm = await bootLiveGuest([update], { append: 'maxcpus=1' });
      const version = async (cpu: number): Promise<string> =>
        (await vm.run(`taskset ${cpu} cat /proc/version`)).stdout;
      expect(await guestKsplice(vm, `apply ${madePath(LOCKED.id)}`)).toMatchObject({ exitCode: 0 });
      expect(await version(1)).toMatch(/^lock 3e, shown 1: Linux version /);
      expect((await vm.run('echo 1 >/sys/devices/system/cpu/cpu1/online')).exitCode).toBe(0);
      expect(await version(1)).toMatch(/^lock f0, shown 2: Linux version /);
      expect(await version(2)).toMatch(/^lock f0, shown 3: Linux version /);
      expect(await guestKsplice(vm, `undo ${LOCKED.id}`)).toMatchObject({ exitCode: 0 });
      expect(await version(2)).toMatch(/^Linux version /);
      expect(await look(vm)).toEqual(untouched);
      const log = await vm.kernelLog();
      expect(judgeLog(log, []).trouble, log).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
