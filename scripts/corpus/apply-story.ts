/**
 * One update's way through a guest, told as what was done and what came of it; judged elsewhere (apply-verdict.ts).
 *
 * The modules that it changes are loaded first. It is applied, the guest lives with it for a moment (smoke_load), it is
 * undone, and the guest is looked at: modules of ours, users of the modules that were changed, the kernel log. The tale
 * ends at the first thing that does not work, and then what can be taken away is.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { LostVmError, VmTimeoutError } from '../../test/support/vm/lost-vm-error.ts';
import type { Vm } from '../../test/support/vm/vm.ts';
import { SMOKE_DIRECTORIES } from './apply-guest.ts';
import type { UpdateFacts } from './update-of-member.ts';

/** A command in the guest. */
export interface Told {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApplyStory {
  /** The module that could not be loaded, and what modprobe said. */
  readonly notLoaded?: { readonly module: string; readonly words: string };
  readonly applied?: Told;
  readonly smoke?: Told;
  readonly undone?: Told;
  /** What should not be there any more: modules and entries of ours, users of a module. */
  readonly left: readonly string[];
  /** The kernel log from before the update was applied. */
  readonly log: string;
  /** A command that took too long, or the guest's end, in words. */
  readonly timedOut?: string;
  readonly died?: string;
}

export type StoryGuest = {
  readonly vm: Pick<Vm, 'run' | 'put' | 'kernelLog'>;
  readonly residents: ReadonlySet<string>;
};

export interface StoryOptions {
  readonly facts: Pick<UpdateFacts, 'id' | 'modules' | 'staysResident'>;
  readonly update: Uint8Array;
  /** Called with every command and what came of it. */
  readonly onCommand: (command: string, told: Told) => void;
  /** Between two tries to undo. */
  readonly pauseMs?: number;
}

const TIMEOUT_MS = 300_000;
const UNDO_TRIES = 3;
const BUSY = 5;
const FILE = '/root/update.ksplice';
/** Modules of ours that are loaded, and what the core has of updates. */
const LOOK = [
  "cut -d' ' -f1 /proc/modules | grep '^ksplice'",
  'for i in /sys/kernel/ksplice/*/; do [ -e "$i" ] && echo $i; done',
  'true',
].join('; ');

type Unfinished = { -readonly [Key in keyof ApplyStory]: ApplyStory[Key] };

export async function tellApply(guest: StoryGuest, options: StoryOptions): Promise<ApplyStory> {
  const story: Unfinished = { left: [], log: '' };
  try {
    await new Teller(guest, options, story).tell();
  } catch (error) {
    if (error instanceof LostVmError) story.died = error.message;
    else if (error instanceof VmTimeoutError) story.timedOut = error.message;
    else throw error;
  }
  return story;
}

class Teller {
  readonly #guest: StoryGuest;
  readonly #options: StoryOptions;
  readonly #story: Unfinished;

  constructor(guest: StoryGuest, options: StoryOptions, story: Unfinished) {
    this.#guest = guest;
    this.#options = options;
    this.#story = story;
  }

  async tell(): Promise<void> {
    const { facts, update } = this.#options;
    for (const module of facts.modules) {
      const { exitCode, stderr } = await this.#run(`/sbin/modprobe ${module}`);
      if (exitCode !== 0) {
        this.#story.notLoaded = { module, words: stderr.trim() };
        return;
      }
    }
    const usersBefore = await this.#users();
    // A log's part begins at its mark; a mark of its own for each, since files are done again.
    const mark = `corpus: ${facts.id} from here, ${process.hrtime.bigint()}`;
    await this.#run(`echo '${mark}' >/dev/kmsg`);
    await this.#guest.vm.put(FILE, update);
    try {
      await this.#thereAndBack();
      this.#story.left = await this.#left(usersBefore);
    } finally {
      this.#story.log = await this.#logSince(mark);
    }
    await this.#unloadModules();
  }

  async #run(command: string): Promise<Told> {
    const told = await this.#guest.vm.run(command, { timeoutMs: TIMEOUT_MS });
    this.#options.onCommand(command, told);
    return told;
  }

  async #thereAndBack(): Promise<void> {
    this.#story.applied = await this.#run(`ksplice apply ${FILE} --json`);
    if (this.#story.applied.exitCode !== 0) return;
    this.#story.smoke = await this.#run(`smoke_load ${SMOKE_DIRECTORIES.join(' ')}`);
    this.#story.undone = await this.#undo();
  }

  /** Once more where a task is in the code: it may have left by then, as the message says. */
  async #undo(): Promise<Told> {
    const { facts, pauseMs = 1000 } = this.#options;
    for (let tries = 1; ; tries += 1) {
      const told = await this.#run(`ksplice undo ${facts.id} --json`);
      if (told.exitCode !== BUSY || tries === UNDO_TRIES) return told;
      await delay(pauseMs);
    }
  }

  /** Of each module that is changed, `NAME USERS`. */
  async #users(): Promise<readonly string[]> {
    const { modules } = this.#options.facts;
    if (modules.length === 0) return [];
    const script = modules.map((name) => `echo ${name} $(cat /sys/module/${name}/refcnt 2>/dev/null)`);
    return (await this.#run(script.join('; '))).stdout.trimEnd().split('\n');
  }

  async #left(usersBefore: readonly string[]): Promise<readonly string[]> {
    const { id, staysResident } = this.#options.facts;
    const stays = staysResident && this.#story.undone?.exitCode === 0;
    const residents = [...this.#guest.residents, ...(stays ? [id] : [])];
    const expected = new Set([
      ...(residents.length === 0 ? [] : ['ksplice']),
      ...residents.flatMap((one) => [`ksplice_${one}`, `/sys/kernel/ksplice/${one}/`]),
    ]);
    const there = (await this.#run(LOOK)).stdout.split('\n').filter((line) => line !== '');
    const more = there.filter((line) => !expected.has(line));
    const missing = [...expected].filter((line) => !there.includes(line)).map((line) => `${line} is gone`);
    // A resident update keeps what it is bound to.
    const users = stays ? [] : await this.#users();
    const others = users.flatMap((line, at) =>
      line === usersBefore[at] ? [] : [`users of ${line}, before: ${usersBefore[at] ?? 'none'}`],
    );
    return [...more, ...missing, ...others];
  }

  async #logSince(mark: string): Promise<string> {
    const log = await this.#guest.vm.kernelLog();
    const at = log.lastIndexOf(mark);
    // What fills megabytes in a few seconds is no good sign, whatever it is.
    return at < 0 ? `WARNING: the kernel log has overflowed since\n${log}` : log.slice(at);
  }

  /** So that they do not pile up: each makes the next match slower. Many stay, for many reasons. */
  async #unloadModules(): Promise<void> {
    const { modules } = this.#options.facts;
    if (modules.length > 0) await this.#run(`/sbin/modprobe -r ${modules.join(' ')}; true`);
  }
}
