/**
 * The busy TCP connection that lives through everything: started before the first apply, asked for a
 * mark around each stop, judged at the end.
 */
import type { Vm, VmBackground } from '../../test/support/vm/vm.ts';

interface Direction {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface WitnessReport {
  /** Both ends sent and received the same bytes, and no call failed. */
  readonly agreed: boolean;
  readonly resets: number;
  readonly errors: number;
  readonly longestGapMs: number;
  readonly durationMs: number;
  readonly exitCode: number;
  /** Bytes that arrived, both directions. */
  readonly bytes: number;
}

const TIMELINE = '/tmp/witness.timeline';

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN;
}

function isDirection(value: unknown): value is Direction {
  return typeof value === 'object' && value !== null && 'receivedBytes' in value;
}

/** Bytes received so far, both directions together. */
export async function bytesSoFar(vm: Vm): Promise<number> {
  const { stdout } = await vm.run(`tail -n 1 ${TIMELINE}`);
  const [, server, client] = stdout.trim().split(' ').map(Number);
  return (server ?? 0) + (client ?? 0);
}

export async function startWitness(vm: Vm): Promise<VmBackground> {
  const witness = await vm.start(`exec /bin/tcp_witness -t ${TIMELINE}`);
  for (let tries = 0; tries < 100; tries += 1) {
    const { exitCode } = await vm.run(`test -s ${TIMELINE}`);
    if (exitCode === 0) return witness;
    await vm.run('usleep 50000');
  }
  throw new Error('the TCP connection did not come up');
}

export async function stopWitness(witness: VmBackground): Promise<WitnessReport> {
  witness.kill('SIGTERM');
  const { exitCode, stdout, stderr } = await witness.wait(60_000);
  const last = stdout.trim().split('\n').at(-1) ?? '';
  if (!last.startsWith('{')) throw new Error(`the TCP connection ended without a report: ${stderr}`);
  const report: unknown = JSON.parse(last);
  if (typeof report !== 'object' || report === null) throw new Error(`not a report: ${last}`);
  const fields: Readonly<Record<string, unknown>> = { ...report };
  const directions = Object.values(fields).filter(isDirection);
  return {
    agreed: fields['agreed'] === true,
    resets: numberOf(fields['resets']),
    errors: numberOf(fields['errors']),
    longestGapMs: numberOf(fields['longestGapMs']),
    durationMs: numberOf(fields['durationMs']),
    exitCode,
    bytes: directions.reduce((sum, each) => sum + each.receivedBytes, 0),
  };
}
