import { MatchError, UsageError } from '../diagnostics/error.ts';
import { ImageKernel } from '../kernel/image/image-kernel.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { RunningKernel } from '../kernel/running-kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { checkUpdate, type UnitCheck } from '../link/check-update.ts';
import { namesOf, readObjects, type UpdateObjects } from '../link/update-objects.ts';
import { refuseLivepatched } from '../live/livepatch-owner.ts';
import { requireRoot } from '../live/require-root.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { targetNotLoaded } from '../live/target-not-loaded.ts';
import { textPatches } from '../live/text-patches.ts';
import { SignatureGate } from '../live/trust/gate.ts';
import type { SignatureVerdict } from '../live/trust/judge.ts';
import { counted, formatSize } from '../report/format.ts';
import { identityDifference, type KernelIdentity } from '../update/kernel-identity.ts';
import { readUpdateFile } from '../update/read-update.ts';
import type { CheckFlags } from './check-command.ts';
import type { Session } from './session.ts';

interface Subject {
  readonly kernel: Kernel;
  readonly identity: KernelIdentity;
  /** `is running`, `is in /boot/vmlinuz-x`. */
  readonly found: string;
  /** Makes a module be there; the running kernel has those that it has. */
  readonly load: ((module: string) => Promise<unknown>) | undefined;
  readonly close: () => void;
}

async function openKernel(flags: CheckFlags): Promise<Subject> {
  const { image, modules } = flags;
  if (image === undefined) {
    const kernel = new RunningKernel();
    const close = (): void => {
      kernel.close();
    };
    return { kernel, identity: runningIdentity(), found: 'is running', load: undefined, close };
  }
  const kernel = await ImageKernel.open(image, modules === undefined ? {} : { modulesDirectory: modules });
  const identity = { release: kernel.release, banner: kernel.version };
  const load = async (module: string): Promise<unknown> => await kernel.loadModule(module);
  return { kernel, identity, found: `is in ${image}`, load, close: () => undefined };
}

/** `ksplice check FILE` */
export async function check(session: Session, flags: CheckFlags, file: string): Promise<void> {
  if (flags.modules !== undefined && flags.image === undefined) {
    throw new UsageError('usage', '--modules goes with --image', {
      hint: 'give the image of that kernel, too',
    });
  }
  if (flags.image === undefined) requireRoot("read the running kernel's memory");
  session.progress.step(`checking ${file}`);
  const update = readUpdateFile(file);
  // What was applied to this machine says nothing of a kernel at rest.
  const gate = new SignatureGate(flags.image === undefined ? runningIdentity() : undefined);
  const signature = gate.admit(update, (warning) => {
    session.progress.print(`warning: ${warning}`);
  });
  const objects = readObjects(update);
  session.progress.step('reading the kernel');
  const subject = await openKernel(flags);
  try {
    const { kernel, identity, found } = subject;
    await needTargets(subject, update.id, objects);
    if (kernel.isRunning) refuseLivepatched(update);
    kernel.prefetch(namesOf(objects));
    session.progress.step('matching');
    const units = await checkUpdate(update, objects, kernel, () =>
      kernel.isRunning ? textPatches(kernel) : [],
    );
    refuseMismatches(units);
    const difference = identityDifference(update.kernel, identity, found);
    if (difference !== undefined) {
      throw new MatchError('no_match', `${update.id}: ${difference}; its code matches, but not its core`, {
        hint: 'create the update again for that kernel',
      });
    }
    session.result(
      {
        id: update.id,
        kernel: { ...identity, running: kernel.isRunning },
        mode: update.matching,
        signature,
        units,
      },
      `${units.map((unit) => unitText(unit, session.verbose)).join('')}${update.id} fits ${identity.release}${update.matching === 'strict' ? '' : ', matched tolerantly'}${signedText(signature)}\n`,
    );
  } finally {
    subject.close();
  }
}

/** The modules that are updated: loaded, or read from where they are at rest. */
async function needTargets({ kernel, load }: Subject, id: string, objects: UpdateObjects): Promise<void> {
  const loaded = new Set(kernel.modules().map(({ name }) => name));
  for (const { target } of objects.units) {
    if (target === VMLINUX || loaded.has(target)) continue;
    if (load === undefined) throw targetNotLoaded(id, target);
    await load(target);
  }
}

function signedText({ signer, serial }: SignatureVerdict): string {
  return signer === null ? '' : `, signed by ${signer} (serial ${serial})`;
}

/** The first one is the error; all are in its details. */
function refuseMismatches(units: readonly UnitCheck[]): void {
  const failed = units.flatMap(({ mismatch }) => (mismatch === undefined ? [] : [mismatch]));
  const [first] = failed;
  if (first === undefined) return;
  const more = failed.length === 1 ? '' : `, and ${counted(failed.length - 1, 'unit')} more`;
  throw new MatchError(first.code, `${first.summary}${more}`, {
    hint: first.cause,
    details: { line: first.line, running: first.running, source: first.source, units },
  });
}

function unitText(unit: UnitCheck, verbose: boolean): string {
  const lines = [`${unit.unit}: ${formatSize(unit.compared)} of code are as they were compiled`];
  if (verbose) {
    for (const [what, count] of Object.entries(unit.explained)) lines.push(`  ${count} x ${what}`);
    for (const [what, value] of Object.entries(unit.choices)) lines.push(`  ${what}: ${value}`);
    for (const { name, how, namesakes } of unit.symbols) {
      lines.push(`  ${name}: ${how}${namesakes > 1 ? ` (${namesakes} have this name)` : ''}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
