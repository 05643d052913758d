import type { UnitCheck } from '../link/check-update.ts';
import { isAppliedHere } from '../live/applied-here.ts';
import { requireRoot } from '../live/require-root.ts';
import { runningIdentity } from '../live/running-identity.ts';
import { SignatureGate } from '../live/trust/gate.ts';
import type { SignatureVerdict } from '../live/trust/judge.ts';
import { formatSize } from '../report/format.ts';
import { readUpdateFile } from '../update/read-update.ts';
import type { CheckFlags } from './check-command.ts';
import { checkAgainstKernel, checkKernelFlags, refuseMismatches } from './check-kernel.ts';
import type { Session } from './session.ts';

/** `ksplice check FILE` */
export async function check(session: Session, flags: CheckFlags, file: string): Promise<void> {
  checkKernelFlags(flags);
  if (flags.image === undefined) requireRoot("read the running kernel's memory");
  session.progress.step(`checking ${file}`);
  const update = readUpdateFile(file);
  // What was applied to this machine says nothing of a kernel at rest.
  const gate = new SignatureGate(flags.image === undefined ? runningIdentity() : undefined);
  const signature = gate.admit(update, (warning) => {
    session.progress.print(`warning: ${warning}`);
  });
  if (flags.image === undefined && isAppliedHere(update)) {
    // Its functions hold its own jumps: there is nothing left to match, nor for apply to do.
    session.done(
      { id: update.id, alreadyApplied: true, signature },
      `${update.id}: applied already: nothing to check\n`,
    );
    return;
  }
  const { units, identity, isRunning, difference } = await checkAgainstKernel(session, flags, update);
  refuseMismatches(units);
  if (difference !== undefined) throw difference;
  session.done(
    {
      id: update.id,
      alreadyApplied: false,
      kernel: { ...identity, running: isRunning },
      mode: update.matching,
      signature,
      units,
    },
    `${units.map((unit) => unitText(unit, session.verbose)).join('')}${update.id} fits ${identity.release}${update.matching === 'strict' ? '' : ', matched tolerantly'}${signedText(signature)}\n`,
  );
}

function signedText({ signer, serial }: SignatureVerdict): string {
  return signer === null ? '' : `, signed by ${signer} (serial ${serial})`;
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
