/**
 * The third stage: in a guest with that very kernel the update is applied, lived with, and undone (apply-story.ts).
 *
 * Left behind: `apply.log`, every command in the guest with what it printed; `apply.kernel.log`, the kernel log of that
 * time; `apply.console.log`, the end of the console, if the guest died.
 */
import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { guestSource } from '../../test/support/vm/guest-program.ts';
import type { ApplyGuest } from './apply-guest.ts';
import { type ApplyStory, type Told, tellApply } from './apply-story.ts';
import { applyOutcomes, isGuestFit, judgeApply } from './apply-verdict.ts';
import type { GuestPool } from './guest-pool.ts';
import type { Stage, StageContext, StageResult } from './stage.ts';
import { readUpdateFacts, updateFile, updateHash } from './update-of-member.ts';

const CONSOLE_LINES = 500;

export function applyStage(guests: GuestPool<ApplyGuest>): Stage {
  return {
    name: 'apply',
    outcomes: applyOutcomes,
    // Another load is another experiment.
    inputs: async (context) => `${await updateHash(context)} ${await loadHash()}`,
    run: async (context) => {
      const result = await guests.use(async (guest) => await applyIn(guest, context));
      return result;
    },
  };
}

async function loadHash(): Promise<string> {
  return createHash('sha256')
    .update(await readFile(guestSource('smoke_load.c')))
    .digest('hex');
}

async function applyIn(
  guest: ApplyGuest,
  context: StageContext,
): Promise<{ readonly result: StageResult; readonly isFit: boolean }> {
  const { directory, signal } = context;
  const facts = readUpdateFacts(context);
  const commands: string[] = [];
  const onCommand = (command: string, told: Told): void => {
    commands.push(commandText(command, told));
  };
  const update = await readFile(updateFile(context));
  const story = await tellApply(guest, { facts, update, onCommand });
  // A guest dies, too, when the corpus is interrupted.
  signal.throwIfAborted();
  await keepLogs(directory, story, commands.join(''), guest.vm.console.text);
  const result = judgeApply(story, facts);
  if (result.outcome === 'undone' && facts.staysResident) guest.addResident(facts.id);
  return { result, isFit: isGuestFit(result) };
}

function commandText(command: string, { exitCode, stdout, stderr }: Told): string {
  const status = exitCode === 0 ? '' : `exit status ${exitCode}\n`;
  return `guest# ${command}\n${stdout}${stderr}${status}\n`;
}

async function keepLogs(
  directory: string,
  story: ApplyStory,
  commands: string,
  console: string,
): Promise<void> {
  const consoleFile = path.join(directory, 'apply.console.log');
  await writeFile(path.join(directory, 'apply.log'), commands);
  await writeFile(path.join(directory, 'apply.kernel.log'), story.log);
  if (story.died === undefined && story.timedOut === undefined) await rm(consoleFile, { force: true });
  else await writeFile(consoleFile, `${console.trimEnd().split('\n').slice(-CONSOLE_LINES).join('\n')}\n`);
}
