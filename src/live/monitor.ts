/**
 * What a monitor wants to know: is all as it should be on this machine, in one line and a status.
 *
 * The statuses and the shape of the line are those of the plugins of Nagios, which Icinga, Sensu, checkmk and
 * others call as well (Monitoring Plugins Development Guidelines, "Plugin Output", "Plugin Return Codes"): 0 OK,
 * 1 WARNING, 2 CRITICAL, 3 UNKNOWN; one line of text, then figures behind a bar. So an error is no error here, but
 * UNKNOWN: a monitor could take exit status 2 for more than it says.
 *
 * CRITICAL is what leaves the machine with the old code while an update says that it is applied, or a wanted
 * update that is not applied. WARNING is what somebody has to tidy up.
 */
import { KspliceError } from '../diagnostics/error.ts';
import { type UpdateView, viewUpdates } from './view.ts';

const STATES = ['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'] as const;

export interface Verdict {
  /** The exit status. */
  readonly status: 0 | 1 | 2 | 3;
  readonly state: (typeof STATES)[number];
  /** What is not as it should be, the worst first; else what there is. */
  readonly findings: readonly string[];
  /** Updates by stage. */
  readonly counts: Readonly<Record<UpdateView['stage'], number>>;
}

interface Finding {
  readonly status: 1 | 2;
  readonly text: string;
}

/** @param wanted ID of an update that has to be applied; undefined if none has to */
export function judgeUpdates(updates: readonly UpdateView[], wanted: string | undefined): Verdict {
  const isWantedThere =
    wanted === undefined || updates.some(({ id, stage }) => id === wanted && stage === 'applied');
  const findings = [
    ...(isWantedThere ? [] : [{ status: 2, text: `${wanted} is not applied` } as const]),
    ...updates.flatMap(findingsOf),
  ].toSorted((one, other) => other.status - one.status);
  const applied = updates.filter(({ stage }) => stage === 'applied').map(({ id }) => id);
  const status = findings[0]?.status ?? 0;
  const fine = applied.length === 0 ? 'no updates applied' : `applied: ${applied.join(', ')}`;
  return {
    status,
    state: STATES[status],
    findings: findings.length === 0 ? [fine] : findings.map(({ text }) => text),
    counts: countStages(updates),
  };
}

/** The same of this machine. What keeps from looking at it is told as UNKNOWN. */
export function judgeMachine(wanted: string | undefined): Verdict {
  try {
    return judgeUpdates(viewUpdates(undefined), wanted);
  } catch (error) {
    if (!(error instanceof KspliceError)) throw error;
    return { status: 3, state: 'UNKNOWN', findings: [error.message], counts: countStages([]) };
  }
}

/** `KSPLICE OK - applied: fix | applied=1 preparing=0 reversed=0 installed=0`, with a newline. */
export function verdictText({ status, state, findings, counts }: Verdict): string {
  // A bar would begin the figures.
  const text = findings.join('; ').replaceAll('|', '/').replaceAll('\n', ' ');
  const figures = Object.entries(counts).map(([stage, count]) => `${stage}=${count}`);
  return `KSPLICE ${state} - ${text}${status === 3 ? '' : ` | ${figures.join(' ')}`}\n`;
}

function countStages(updates: readonly UpdateView[]): Verdict['counts'] {
  const count = (wanted: UpdateView['stage']): number =>
    updates.filter(({ stage }) => stage === wanted).length;
  return {
    applied: count('applied'),
    preparing: count('preparing'),
    reversed: count('reversed'),
    installed: count('installed'),
  };
}

function findingsOf(update: UpdateView): readonly Finding[] {
  const { id, stage, shadowed, modules, signature, atBoot, notApplied } = update;
  const isApplied = stage === 'applied';
  const findings: Finding[] = shadowed.map(({ function: name, livepatch }) => ({
    status: 2,
    text: `${id}: ${name} is not in force, the livepatch ${livepatch} has taken it over`,
  }));
  for (const { name, loaded, stale, file, isFirst } of modules) {
    if (isApplied && loaded === 'another') {
      findings.push({ status: 2, text: `${id}: ${name} is loaded, and it is not the fixed one` });
    }
    if (stale !== null) {
      findings.push({ status: 1, text: `${id}: the fixed module ${name} is stale (${stale})` });
    } else if (file === null) {
      // While the update is applied the core turns away any other module of this name.
      if (isApplied && loaded === 'no') continue;
      findings.push({ status: 1, text: `${id}: the fixed module ${name} is not where it was put` });
    } else if (!isFirst) {
      findings.push({ status: 1, text: `${id}: modprobe does not take the fixed module ${name}` });
    }
  }
  if (stage === 'preparing') {
    findings.push({ status: 1, text: `${id}: an apply is under way, or was killed` });
  }
  if (atBoot && !isApplied) {
    // Without a reason it was installed, or undone, since the machine booted: somebody has it in hand.
    findings.push({
      status: notApplied === null ? 1 : 2,
      text: `${id}: it is installed, and not applied${notApplied === null ? '' : ` (${notApplied})`}`,
    });
  } else if (stage === 'installed') {
    findings.push({ status: 1, text: `${id}: its fixed modules are installed, and it is not applied` });
  }
  if (isApplied && (signature?.standing === 'revoked_key' || signature?.standing === 'bad_signature')) {
    findings.push({
      status: 1,
      text: `${id}: ${signature.standing === 'revoked_key' ? 'the key that signed it was revoked' : 'its signature is wrong'}`,
    });
  }
  return findings;
}
