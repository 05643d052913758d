/**
 * Static calls, which the kernel turns from calls into other instructions and back: the one of cond_resched() in a function
 * that is replaced, switched by the kernel's own mode of preemption, before an update is checked, while it is applied, and
 * before it is undone. The call in the replacement code follows it too.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeLog } from '../support/case/kernel-log.ts';
import { patchFile } from '../support/case/read-cases.ts';
import { bootLiveGuest, guestKsplice, look, untouched } from '../support/live/live-guest.ts';
import { madePath, madeUpdate } from '../support/live/made-update.ts';
import { runScript } from '../support/vm/run-script.ts';
import type { Vm } from '../support/vm/vm.ts';

const ID = 'switched';
const UPDATE = madePath(ID);
const FUNCTION = 'mincore_pte_range';
const REPLACEMENT = `${FUNCTION}.ksplice_${ID}`;
/** With either, cond_resched() does something; with `full` it returns 0 at once. */
const MODES = ['none', 'voluntary'] as const;
type Mode = (typeof MODES)[number] | 'full';

const resultSchema = v.object({
  units: v.tuple([v.object({ matches: v.boolean(), explained: v.record(v.string(), v.number()) })]),
});

describe('the static call of cond_resched()', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-call-'));
    const update = await madeUpdate(folder, ID, patchFile('static-call', 'fix.patch'));
    vm = await bootLiveGuest([update], { cpusInTurn: true, programs: ['probe'] });
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function script(text: string): Promise<string> {
    return await runScript(vm, text);
  }

  /** Rewrites the calls of all of the kernel. */
  async function turn(mode: Mode): Promise<void> {
    await script(`cd /sys/kernel/debug/sched; echo ${mode} >preempt; grep -qF '(${mode})' preempt`);
  }

  /** What the system call answers, and which function has called __cond_resched() for it. */
  async function ask(): Promise<string> {
    return await script(`cd /sys/kernel/tracing
      echo __cond_resched >set_ftrace_filter; echo >trace; echo function >current_tracer
      probe mincore; echo 0 >tracing_on; grep -o '<-${FUNCTION}.*' trace | sort -u
      echo nop >current_tracer; echo >set_ftrace_filter; echo 1 >tracing_on`);
  }

  async function calls(): Promise<Readonly<Record<string, number>>> {
    const { exitCode, json } = await guestKsplice(vm, `check ${UPDATE}`);
    expect(exitCode, JSON.stringify(json)).toBe(0);
    const [{ matches, explained }] = v.parse(resultSchema, json).units;
    expect(matches).toBe(true);
    return Object.fromEntries(Object.entries(explained).filter(([what]) => what.startsWith('static call')));
  }

  const old = (mode: Mode): string => (mode === 'full' ? 'resident 1' : `resident 1\n<-${FUNCTION}`);
  const updated = (mode: Mode): string => (mode === 'full' ? 'resident 3' : `resident 3\n<-${REPLACEMENT}`);

  it.for(MODES)('%s or full: the unit fits, and the check shows which', async (mode) => {
    await turn(mode);
    const direct = await calls();
    expect(await ask()).toBe(old(mode));
    await turn('full');
    const turned = await calls();
    expect(await ask()).toBe(old('full'));
    expect(turned['static call: returns 0']).toBeGreaterThan(direct['static call: returns 0'] ?? 0);
    await turn(mode);
    expect(await calls()).toEqual(direct);
  });

  it.for<readonly [Mode, Mode]>([
    ['voluntary', 'full'],
    ['full', 'voluntary'],
    ['none', 'full'],
    ['full', 'none'],
  ])('%s when the update is applied, %s when it is undone', async ([atApply, atUndo]) => {
    await turn(atApply);
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: ID, functions: [FUNCTION] }] },
    });
    for (const mode of [atApply, atUndo, atApply, atUndo]) {
      await turn(mode);
      expect(await ask()).toBe(updated(mode));
    }
    expect(await guestKsplice(vm, `undo ${ID}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: ID, resident: false }] },
    });
    // The old code follows it as if nothing had been.
    for (const mode of [atUndo, atApply]) {
      await turn(mode);
      expect(await ask()).toBe(old(mode));
    }
    expect(await look(vm)).toEqual(untouched);
    const log = await vm.kernelLog();
    expect(judgeLog(log, []).trouble, log).toEqual([]);
  });
});
