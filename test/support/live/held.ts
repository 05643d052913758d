/**
 * Threads that are held in functions that an update replaces (test/guest/modules/held.c), and the update of them,
 * which is made by hand and talks to the core directly: a stage change takes milliseconds, and can be tried often.
 */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { GuestFile } from '../vm/initramfs.ts';
import { runScript } from '../vm/run-script.ts';
import { testModuleFile, testModulePath } from '../vm/test-module.ts';
import type { Vm, VmBackground } from '../vm/vm.ts';
import { bootLiveGuest, guestKsplice, type LiveGuestOptions, UPDATE } from './live-guest.ts';

/** The directory of the update in sysfs. */
export const HELD = '/sys/kernel/ksplice/held';

/** The core's word for threads that end, and have left the list of threads. */
export const ENDING = 'exiting 0 *';

const SECOND = 'held_second';

/** The update of held.ko once more, as a module of another name; its parameter `id` has to be another, too. */
export async function secondUpdateFile(): Promise<GuestFile> {
  const { from = '' } = await testModuleFile('held_update');
  // Names of one length: nothing else in the file moves.
  const renamed = (await readFile(from)).toString('latin1').replaceAll('held_update', SECOND);
  return { path: testModulePath(SECOND), contents: Buffer.from(renamed, 'latin1') };
}

export interface Attempt {
  readonly cause: string;
  /** Lines of `NAME PID FUNCTION...`. */
  readonly conflicts: readonly string[];
  /** What the core wrote to the kernel log. */
  readonly log: string;
}

export interface HeldOptions extends LiveGuestOptions {
  readonly files?: readonly GuestFile[];
  readonly modules?: readonly string[];
}

/** A guest with the core, held.ko and held_update.ko in it, nothing of it applied. */
export class HeldGuest {
  readonly vm: Vm;

  private constructor(vm: Vm) {
    this.vm = vm;
  }

  /** `files` and `modules` (of `test/guest/modules/`) come on top. */
  static async boot({
    files = [],
    modules = [],
    programs = [],
    ...boot
  }: HeldOptions = {}): Promise<HeldGuest> {
    const all = [...files];
    for (const name of ['held', 'held_update', 'divert', ...modules]) all.push(await testModuleFile(name));
    const vm = await bootLiveGuest(all, { ...boot, programs: ['thread_kinds', ...programs] });
    const guest = new HeldGuest(vm);
    // The core comes, and stays, with an update that is applied.
    const applied = await guestKsplice(vm, `apply ${UPDATE}`);
    expect(applied.exitCode, JSON.stringify(applied)).toBe(0);
    await guest.load();
    return guest;
  }

  /** Loads held.ko and its update, which then can be applied. */
  async load(): Promise<void> {
    await this.script(`insmod ${testModulePath('held')} && cd /sys/kernel/ksplice && echo create held >control &&
      echo pin held held >control && insmod ${testModulePath('held_update')} && echo 1 >held/debug`);
  }

  /** Loads the update anew, with other parameters. */
  async reload(parameters: string): Promise<void> {
    await this.script(`rmmod held_update && insmod ${testModulePath('held_update')} ${parameters}`);
  }

  /** Runs a script that must succeed, as a whole. */
  async script(text: string): Promise<string> {
    return await runScript(this.vm, text);
  }

  /** Until a shell condition holds; a minute at most. */
  async until(condition: string): Promise<void> {
    const poll = `i=0; until ${condition}; do i=$((i+1)); [ $i -lt 600 ] || exit 1; usleep 100000; done 2>/dev/null`;
    expect((await this.vm.run(poll)).exitCode, condition).toBe(0);
  }

  /** Holds a thread of a kind (test/guest/thread_kinds.c); returns when it is there. */
  async hold(kind: string, word: string, module: 'held' | 'held_update' = 'held'): Promise<VmBackground> {
    const held = await this.vm.start(`exec thread_kinds ${kind} '${word}'`);
    await this.until(`[ "$(cat /sys/module/${module}/parameters/inside)" != 0 ]`);
    return held;
  }

  /** Lets everybody go who is held by a module, and waits for them; what the first of them printed. */
  async letGo(held: readonly VmBackground[] = [], module = 'held'): Promise<string> {
    await this.script(`echo 1 >/sys/module/${module}/parameters/go`);
    const ends = await Promise.all(held.map(async (each) => await each.wait()));
    await this.script(
      `while pidof holder holder_of_depth; do usleep 100000; done; echo 0 >/sys/module/${module}/parameters/go`,
    );
    return ends[0]?.stdout.trim() ?? '';
  }

  /** Writes a stage that must be reached. */
  async change(stage: 'applied' | 'reversed'): Promise<void> {
    await this.script(`echo ${stage} >${HELD}/stage && grep -qx ${stage} ${HELD}/stage`);
  }

  /** Writes a stage, lets the core try it once, and takes it back by a signal: what the core says. */
  async tryOnce(stage: 'applied' | 'reversed'): Promise<Attempt> {
    const attempts = `dmesg | grep -c 'ksplice: held: .* attempt '`;
    const text = await this.script(`n=$(${attempts}); dmesg >/run/before
      (echo ${stage} >${HELD}/stage) 2>/dev/null & writer=$!
      while [ $(${attempts}) = $n ]; do usleep 50000; done
      kill $writer 2>/dev/null; wait $writer
      cat ${HELD}/abort_cause; echo --; cat ${HELD}/conflicts; echo --
      dmesg | tail -n +$(($(wc -l </run/before) + 1)); true`);
    const [cause = '', conflicts = '', log = ''] = text.split(/^--$/m);
    const lines = conflicts.trim().split('\n');
    // Programs of this very script end all the time, and one may have just left the list.
    const others = lines.filter((line) => line !== ENDING);
    return { cause: cause.trim(), conflicts: others.length > 0 ? others : lines, log };
  }

  /** After a test that may have failed: nobody is held, and the update is reversed. */
  async rescue(): Promise<void> {
    await this.vm.run(`touch /run/let; for module in held held_update divert; do
        go=/sys/module/$module/parameters/go; [ -e $go ] && echo 1 >$go && sleep 1 && echo 0 >$go
      done; rmmod divert; grep -qx applied ${HELD}/stage && echo reversed >${HELD}/stage`);
  }

  /** Which versions of held() and of held_restart() answer. */
  async versions(): Promise<string> {
    return await this.script(`cut -d' ' -f1,2 /proc/held`);
  }

  async close(): Promise<void> {
    await this.vm.close();
  }
}
