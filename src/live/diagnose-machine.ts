/**
 * What this machine has, lacks and forbids, for updates to be applied. Looks only, changes nothing.
 */
import { accessSync, constants } from 'node:fs';
import { KspliceError, MissingError } from '../diagnostics/error.ts';
import { RunningKernel } from '../kernel/running-kernel.ts';
import { coreInterface, isCoreLoaded, listEntries, operation } from './core-sysfs.ts';
import { checkModulesAllowed, moduleTools, SIGNED_ONLY } from './kernel-module.ts';
import { listLivepatches } from './livepatch-owner.ts';
import { demandsSignatures, machineSigner } from './machine-key.ts';
import { readOr } from './module-state.ts';
import { requireRoot } from './require-root.ts';
import { listKprobes } from './text-patches.ts';

export interface Finding {
  /** For what it matters. */
  readonly for: 'apply' | 'create';
  readonly what: string;
  /** `note`: nothing is lacking, and somebody may want to know. */
  readonly state: 'ok' | 'note' | 'missing';
  readonly found: string;
  /** What to do; null where there is nothing to do. */
  readonly hint: string | null;
}

/** A check that throws is a finding, if it is one of our errors. */
export async function find(
  aim: Finding['for'],
  what: string,
  check: () => string | Promise<string>,
): Promise<Finding> {
  try {
    return { for: aim, what, state: 'ok', found: await check(), hint: null };
  } catch (error) {
    if (!(error instanceof KspliceError)) throw error;
    return { for: aim, what, state: 'missing', found: error.message, hint: error.hint ?? null };
  }
}

function memory(): string {
  const kernel = new RunningKernel();
  try {
    const [symbol] = kernel.named('_text');
    if (symbol === undefined) throw new MissingError('kallsyms_hidden', '/proc/kallsyms: has no _text');
    kernel.read(symbol.address, 16);
    return '/proc/kcore and /proc/kallsyms can be read';
  } finally {
    kernel.close();
  }
}

function signatures(): string {
  const demanded = demandsSignatures();
  const signer = machineSigner();
  if (signer !== undefined) return `modules that are linked here are signed by ${signer.subject}`;
  if (demanded === undefined) return 'not asked for by the kernel';
  throw new MissingError(
    'lockdown',
    `asked for by the kernel (${demanded}), and there is no key to sign with`,
    {
      hint: SIGNED_ONLY,
    },
  );
}

function runDirectory(): string {
  try {
    accessSync('/run', constants.W_OK);
    return '/run can be written to';
  } catch (cause) {
    throw new MissingError('missing_tool', '/run cannot be written to', {
      hint: 'what is known of applied updates is kept in /run/ksplice: mount a tmpfs there',
      cause,
    });
  }
}

/** `none voluntary (full)` */
function preemption(): string {
  const modes = readOr('/sys/kernel/debug/sched/preempt', '');
  return /\((\w+)\)/.exec(modes)?.[1] ?? 'unknown (debugfs is not mounted)';
}

function note(what: string, found: string, hint: string | null = null): Finding {
  return { for: 'apply', what, state: 'note', found, hint };
}

function notes(): readonly Finding[] {
  const kprobes = listKprobes();
  const livepatches = listLivepatches();
  const core = isCoreLoaded()
    ? `${operation()}, interface ${coreInterface()}; updates known to it: ${listEntries().length}`
    : 'not loaded; comes with the first update';
  return [
    note('core', core),
    note('preemption', preemption()),
    note(
      'kprobes',
      kprobes.length === 0 ? 'none' : kprobes.join(', '),
      kprobes.length === 0
        ? null
        : 'an update of a function with a probe in its body is refused while it is there',
    ),
    note(
      'livepatches',
      livepatches.length === 0 ? 'none' : livepatches.join(', '),
      livepatches.length === 0 ? null : 'an update of a function that one of them replaces is refused',
    ),
  ];
}

/** All that apply needs; notes that need root are left out for others. */
export async function diagnoseMachine(): Promise<readonly Finding[]> {
  const isRoot = process.getuid?.() === 0;
  const checks: readonly (readonly [string, () => string | Promise<string>])[] = [
    [
      'root',
      () => {
        requireRoot('apply updates');
        return 'yes';
      },
    ],
    ...(isRoot ? [['memory and symbols', memory] as const] : []),
    [
      'modules',
      () => {
        checkModulesAllowed();
        return 'can be loaded';
      },
    ],
    ['signatures of modules', signatures],
    ['tools', () => moduleTools().join(', ')],
    ['records', runDirectory],
  ];
  const findings: Finding[] = [];
  for (const [what, check] of checks) findings.push(await find('apply', what, check));
  return isRoot ? [...findings, ...notes()] : findings;
}
