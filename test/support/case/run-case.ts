/**
 * The part of a case that runs in a guest: before, apply, after, undo, undone; and what must be left of that.
 *
 * The guest goes on to the next case, so whatever happens here is cleaned up as far as it can be, and the log of
 * each case is its own.
 */
import { expect } from 'vitest';
import { type Vm, type VmBackground, type VmCommandResult } from '../vm/vm.ts';
import { type Created, caseId } from './create-case.ts';
import { unmet } from './expectations.ts';
import { judgeLog } from './kernel-log.ts';
import type { Expectation, Obstacle, Refusal, TestCase } from './test-case.ts';

const REPORT = '/run/report.json';

/** Whose core the guest's kernel has, as view says it. */
export type Operation = 'integrated' | 'standalone';

function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  return fields[name];
}

/** The only element of `updates` in a result. */
function onlyUpdate(stdout: string): unknown {
  const updates = field(JSON.parse(stdout), 'updates');
  expect(updates).toHaveLength(1);
  return Array.isArray(updates) ? updates[0] : undefined;
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Checks an exit status. Whoever reads a failure wants to see what was printed. */
function expectStatus(what: string, { exitCode, stdout, stderr }: Ended, wanted: number): void {
  expect(exitCode, `${what}: exit status; it printed:\n${stdout}${stderr}`).toBe(wanted);
}

/** Checks the reasons of a refusal: their codes, and that each names its place and says what to do. */
function expectReasons(reasons: unknown, codes: readonly string[]): void {
  const list: readonly unknown[] = Array.isArray(reasons) ? reasons : [reasons];
  const found = new Set(list.map((reason) => String(field(reason, 'code'))));
  expect([...found].toSorted()).toEqual(codes);
  for (const reason of list) {
    expect(reason).toMatchObject({ location: { unit: expect.any(String) }, hint: expect.any(String) });
  }
}

/** Checks that the tool refused, and as it should. */
export function expectRefusal(refusal: Refusal, result: Ended): void {
  expectStatus('refused', result, refusal.exitCode);
  const { stdout } = result;
  const report: unknown = JSON.parse(stdout);
  expect(report).toMatchObject({ code: refusal.code });
  expectReasons(field(field(report, 'details'), 'diagnostics') ?? [], refusal.reasons);
  for (const pattern of refusal.says) expect(field(report, 'message')).toMatch(pattern);
}

/** The same names, in any order. */
function expectNames(found: unknown, wanted: readonly string[]): void {
  expect(found).toHaveLength(wanted.length);
  expect(found).toEqual(expect.arrayContaining([...wanted]));
}

/** Checks that the update was made, and replaces what the case says. */
export function expectCreated(testCase: TestCase, created: Created): void {
  expectStatus('create', created, 0);
  const result: unknown = JSON.parse(created.stdout);
  if (testCase.functions !== undefined) expectNames(field(result, 'functions'), testCase.functions);
  if (testCase.newFunctions !== undefined) expectNames(field(result, 'newFunctions'), testCase.newFunctions);
}

/** One case in one guest. */
class CaseRun {
  readonly #vm: Vm;
  readonly #case: TestCase;
  readonly #id: string;
  readonly #file: string;
  /** Updates of earlier cases whose modules stay. */
  readonly #residents: readonly string[];

  readonly #operation: Operation;

  constructor(vm: Vm, testCase: TestCase, residents: readonly string[], operation: Operation) {
    this.#vm = vm;
    this.#case = testCase;
    this.#id = caseId(testCase);
    this.#file = `/root/${this.#id}.ksplice`;
    this.#residents = residents;
    this.#operation = operation;
  }

  async #run(command: string): Promise<VmCommandResult> {
    return await this.#vm.run(command, { timeoutMs: this.#case.timeoutMs, env: { REPORT } });
  }

  /** A script of the case that must succeed. */
  async #script(what: string, script: string): Promise<void> {
    if (script === '') return;
    expectStatus(what, await this.#run(script), 0);
  }

  async #ksplice(...args: readonly string[]): Promise<VmCommandResult> {
    const result = await this.#run(
      `ksplice ${args.join(' ')} --json >${REPORT}; status=$?; cat ${REPORT}; exit $status`,
    );
    return result;
  }

  /** Runs the trigger; the output must meet `wanted`, and must not pass for `other`. */
  async #behaves(when: string, wanted: readonly Expectation[], other: readonly Expectation[]): Promise<void> {
    const { stdout, stderr } = await this.#run(this.#case.trigger);
    const output = `${stdout}${stderr}`;
    expect(unmet(wanted, output), `${when}: not in the output:\n${output}`).toEqual([]);
    expect(unmet(other, output), `${when}: both kinds of code would print this:\n${output}`).not.toEqual([]);
  }

  async #asBefore(when: string): Promise<void> {
    await this.#behaves(when, this.#case.before, this.#case.after);
  }

  async #asAfter(when: string): Promise<void> {
    await this.#behaves(when, this.#case.after, this.#case.before);
  }

  /** Modules that are loaded, and what the core has of them. */
  async #nothingIsLeft(when: string, alsoResident: readonly string[] = []): Promise<void> {
    const residents = [...this.#residents, ...alsoResident];
    const { stdout } = await this.#run(
      `cut -d' ' -f1 /proc/modules | grep '^ksplice'; for i in /sys/kernel/ksplice/*/; do [ -e "$i" ] && echo $i; done; true`,
    );
    const expected = [
      ...(residents.length === 0 || this.#operation === 'integrated' ? [] : ['ksplice']),
      ...residents.flatMap((id) => [`ksplice_${id}`, `/sys/kernel/ksplice/${id}/`]),
    ];
    const left = stdout.split('\n').filter((line) => line !== '');
    expect({ when, left: left.toSorted() }).toEqual({ when, left: expected.toSorted() });
  }

  async #refusedBy(obstacle: Obstacle): Promise<void> {
    const { at } = obstacle;
    await this.#script(`OBSTACLE ${at}: START`, obstacle.start);
    try {
      expectRefusal(obstacle.refusal, await this.#ksplice(at, at === 'apply' ? this.#file : this.#id));
      await this.#script(`OBSTACLE ${at}: CHECK`, obstacle.check);
      if (at === 'apply') {
        await this.#nothingIsLeft('after a refused apply');
        await this.#asBefore('after a refused apply');
      } else {
        await this.#asAfter('after a refused undo');
      }
    } finally {
      await this.#script(`OBSTACLE ${at}: STOP`, obstacle.stop);
    }
  }

  async #apply(): Promise<void> {
    const result = await this.#ksplice('apply', this.#file);
    expectStatus('apply', result, 0);
    const { stdout } = result;
    const update = onlyUpdate(stdout);
    expect(update).toMatchObject({ id: this.#id, alreadyApplied: false });
  }

  async #viewSays(stage: string): Promise<void> {
    const result = await this.#ksplice('view', this.#id);
    expectStatus('view', result, 0);
    const { stdout } = result;
    expect(onlyUpdate(stdout)).toMatchObject({ id: this.#id, stage });
    expect(field(field(JSON.parse(stdout), 'core'), 'operation')).toBe(this.#operation);
  }

  async #undo(): Promise<void> {
    const result = await this.#ksplice('undo', this.#id);
    expectStatus('undo', result, 0);
    const { stdout } = result;
    expect(onlyUpdate(stdout)).toMatchObject({ id: this.#id, resident: this.#case.resident });
  }

  async #thereAndBack(obstacles: readonly Obstacle[]): Promise<void> {
    for (const obstacle of obstacles.filter(({ at }) => at === 'apply')) await this.#refusedBy(obstacle);
    await this.#apply();
    await this.#asAfter('after apply');
    await this.#viewSays('applied');
    for (const obstacle of obstacles.filter(({ at }) => at === 'undo')) await this.#refusedBy(obstacle);
    await this.#undo();
    await this.#asBefore('undone');
    await this.#nothingIsLeft('undone', this.#case.resident ? [this.#id] : []);
  }

  async #kernelLogIsClean(mark: string): Promise<void> {
    const log = await this.#vm.kernelLog();
    const at = log.lastIndexOf(mark);
    expect({ mark, found: at >= 0 }).toMatchObject({ found: true });
    const own = log.slice(at);
    const { trouble, missing } = judgeLog(own, this.#case.log);
    expect({ trouble, missing }, `the kernel log:\n${own}`).toEqual({ trouble: [], missing: [] });
  }

  async #end(background: readonly VmBackground[]): Promise<void> {
    for (const command of background) {
      command.kill('SIGTERM');
      await command.wait();
    }
    await this.#script('CLEANUP', this.#case.cleanup);
  }

  /**
   * Takes away what a failed case left, so that the next one finds the guest as it should. A guest in which the tool does
   * not even end when it is killed hangs in the kernel, and would have every other case wait: it is given up.
   */
  async #rescue(background: readonly VmBackground[]): Promise<void> {
    const ended = 'i=0; while pidof node; do i=$((i+1)); [ $i -lt 100 ] || exit 1; usleep 100000; done';
    const { exitCode } = await this.#run(ended);
    if (exitCode !== 0) {
      await this.#vm.close();
      return;
    }
    await this.#run(`ksplice undo ${this.#id} >/dev/null 2>&1; true`);
    await this.#end(background);
  }

  async run(): Promise<void> {
    const mark = `case ${this.#case.name} begins`;
    await this.#script('mark', `echo '${mark}' >/dev/kmsg`);
    const background: VmBackground[] = [];
    try {
      await this.#script('SETUP', this.#case.setup);
      for (const command of this.#case.during) background.push(await this.#vm.start(command));
      await this.#asBefore('before');
      await this.#thereAndBack(this.#case.obstacles);
      if (this.#case.twice) await this.#thereAndBack([]);
    } catch (error) {
      // Why it failed is what counts, not what the rescue meets.
      await this.#rescue(background).catch(() => undefined);
      throw error;
    }
    await this.#end(background);
    await this.#kernelLogIsClean(mark);
  }
}

/**
 * Runs a case whose update is in the guest. `residents` are the IDs that earlier cases left loaded; `operation` says whether
 * the guest's kernel carries the core.
 * Throws what vitest's `expect` throws.
 */
export async function runCase(
  vm: Vm,
  testCase: TestCase,
  residents: readonly string[],
  operation: Operation = 'standalone',
): Promise<void> {
  await new CaseRun(vm, testCase, residents, operation).run();
}
