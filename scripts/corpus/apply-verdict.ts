/** What a way through a guest comes to: one class, why, and whether the guest may be used again. */
import * as v from 'valibot';
import { counted } from '../../src/report/format.ts';
import { judgeLog } from '../../test/support/case/kernel-log.ts';
import type { ApplyStory, Told } from './apply-story.ts';
import { firstLine, lastLine, withoutNames } from './cause-text.ts';
import { readErrorJson } from './error-json.ts';
import { internalError, type Outcome, type StageResult } from './stage.ts';
import type { UpdateFacts } from './update-of-member.ts';

export const applyOutcomes: readonly Outcome[] = [
  { name: 'undone', title: 'applied and undone', goesOn: true, isBug: false, isNamed: false },
  { name: 'not_loaded', title: 'its module cannot be loaded', goesOn: false, isBug: false, isNamed: true },
  { name: 'refused', title: 'refused', goesOn: false, isBug: false, isNamed: true },
  { name: 'failed', title: 'failed', goesOn: false, isBug: true, isNamed: true },
  { name: 'log', title: 'kernel log not clean', goesOn: false, isBug: true, isNamed: true },
  { name: 'died', title: 'the guest died', goesOn: false, isBug: true, isNamed: true },
  { name: 'internal_error', title: 'internal errors', goesOn: false, isBug: true, isNamed: true },
];

/** After these the guest is as it was. */
const HARMLESS: ReadonlySet<string> = new Set(['undone', 'not_loaded', 'refused']);

export function isGuestFit({ outcome }: StageResult): boolean {
  return HARMLESS.has(outcome);
}

const appliedSchema = v.object({
  updates: v.tuple([
    v.object({
      id: v.string(),
      alreadyApplied: v.literal(false),
      functions: v.array(v.string()),
      timing: v.object({ attempts: v.number(), stoppedNs: v.number() }),
    }),
  ]),
});
const undoneSchema = v.object({ updates: v.tuple([v.object({ id: v.string(), resident: v.boolean() })]) });

type Facts = Pick<UpdateFacts, 'id' | 'names' | 'staysResident'>;

/** The worst that happened: a dead guest first, whatever it was at. */
export function judgeApply(story: ApplyStory, facts: Facts): StageResult {
  if (story.died !== undefined) return because('died', firstLine(story.died), facts);
  if (story.timedOut !== undefined) return because('failed', firstLine(story.timedOut), facts);
  if (story.notLoaded !== undefined) return notLoaded(story.notLoaded.words);
  const trouble = judgeLog(story.log, []).trouble.map((line) => line.replace(/^\[ *\d+\.\d+\] */, ''));
  const [firstTrouble] = trouble;
  return (
    endedBadly(story, facts) ??
    (story.left.length > 0 ? because('failed', `left: ${story.left.join('; ')}`, facts) : undefined) ??
    (firstTrouble === undefined ? undefined : because('log', firstTrouble, facts)) ??
    refused(story.applied, facts) ??
    undone(story, facts)
  );
}

function because(outcome: string, text: string, { names }: Facts): StageResult {
  return { outcome, causes: [withoutNames(text, names)], text, numbers: {} };
}

/** modprobe's line ends with the word for the error number that the kernel gave it. */
function notLoaded(words: string): StageResult {
  const text = lastLine(words).replace(/^modprobe: (?:ERROR|FATAL): /, '');
  const why = /could not insert '[^']*': (.+)$/.exec(text)?.[1] ?? text;
  return { outcome: 'not_loaded', causes: [withoutNames(why)], text: why, numbers: {} };
}

const REFUSALS: ReadonlySet<number> = new Set([2, 4, 5, 65, 69]);

/** What the program should not have ended with, at each step. */
function endedBadly({ applied, smoke, undone: back }: ApplyStory, facts: Facts): StageResult | undefined {
  if (applied === undefined) return internalError('nothing was applied');
  if (applied.exitCode !== 0 && !REFUSALS.has(applied.exitCode)) return internalError(wordsOf(applied));
  if (applied.exitCode !== 0) {
    return readErrorJson(applied.stdout) === undefined ? internalError(wordsOf(applied)) : undefined;
  }
  if (smoke?.exitCode !== 0) return because('failed', `under load: ${loadWords(smoke)}`, facts);
  if (back?.exitCode !== 0) return because('failed', `undo: ${wordsOf(back)}`, facts);
  return undefined;
}

function refused(applied: Told | undefined, facts: Facts): StageResult | undefined {
  const error = applied === undefined ? undefined : readErrorJson(applied.stdout);
  if (error === undefined || applied?.exitCode === 0) return undefined;
  // Who was in the way differs from run to run; that somebody was is the cause.
  const cause =
    error.code === 'code_busy' ? error.code : `${error.code}: ${withoutNames(error.message, facts.names)}`;
  return { outcome: 'refused', causes: [cause], text: firstLine(error.message), numbers: {} };
}

function undone(story: ApplyStory, facts: Facts): StageResult {
  const applied = v.safeParse(appliedSchema, parsed(story.applied?.stdout));
  const back = v.safeParse(undoneSchema, parsed(story.undone?.stdout));
  if (!applied.success) return internalError(`apply: no result: ${firstLine(story.applied?.stdout ?? '')}`);
  if (!back.success) return internalError(`undo: no result: ${firstLine(story.undone?.stdout ?? '')}`);
  const [{ id, functions, timing }] = applied.output.updates;
  const [{ resident }] = back.output.updates;
  if (id !== facts.id || resident !== facts.staysResident) {
    return internalError(`${id} was applied, and is ${resident ? '' : 'not '}resident; expected ${facts.id}`);
  }
  const stopped = `stopped ${formatMilliseconds(timing.stoppedNs)}`;
  const tries = timing.attempts === 1 ? '' : `, ${counted(timing.attempts, 'attempt')}`;
  return {
    outcome: 'undone',
    causes: [],
    text: `${counted(functions.length, 'function')}, ${stopped}${tries}${resident ? ', resident' : ''}`,
    numbers: {
      stoppedUs: Math.round(timing.stoppedNs / 1000),
      attempts: timing.attempts,
      resident: resident ? 1 : 0,
    },
  };
}

function formatMilliseconds(nanoseconds: number): string {
  return `${(nanoseconds / 1e6).toFixed(1)} ms`;
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}

/** The error's code and message, or whatever there was to read. */
function wordsOf(told: Told | undefined): string {
  if (told === undefined) return 'was not come to';
  const error = readErrorJson(told.stdout);
  return error === undefined
    ? `exit status ${told.exitCode} without an error object: ${lastLine(told.stderr)}`
    : `${error.code}: ${firstLine(error.message)}`;
}

/** smoke_load prints a line before the one that names the part that failed. */
function loadWords(told: Told | undefined): string {
  const lines = (told?.stdout ?? '').split('\n').filter((line) => !line.startsWith('ok ') && line !== '');
  return lines.length > 0 ? lines.join('; ') : `exit status ${told?.exitCode ?? 'none'}`;
}
