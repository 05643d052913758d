/**
 * Matches units with a kernel that runs: boots it in a guest, with the objects and a program of ours on board that
 * matches there, and takes the result home.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import type { DebianKernel } from '../../src/debian/debian-sources.ts';
import { VMLINUX } from '../../src/kernel/symbol-scope.ts';
import type { GuestFile } from '../../test/support/vm/initramfs.ts';
import { Vm } from '../../test/support/vm/vm.ts';
import { guestProgram } from '../guest-program.ts';
import { guestModules } from './guest-modules.ts';
import { type CompiledUnit, type MatchRun, matchRunSchema } from './unit-result.ts';

export interface RunningOptions {
  readonly cacheDir: string;
  /** Goes to the end of the kernel's command line. */
  readonly append?: string;
  readonly onProgress?: (line: string) => void;
}

const HOME = '/root/match';
const PROGRAM = `${HOME}/guest.cjs`;
const UNITS = `${HOME}/units.json`;
const RESULT = '/run/match.json';
/** The archive is in memory twice while the kernel unpacks it; a thousand objects are 50 MB. */
const MEMORY_MB = 4096;
const BOOT_TIMEOUT_MS = 600_000;
const MATCH_TIMEOUT_MS = 3_600_000;

/** Throws LostVmError, VmTimeoutError, and what the program in the guest had to say if it failed. */
export async function matchRunning(
  debian: DebianKernel,
  units: readonly CompiledUnit[],
  options: RunningOptions,
): Promise<MatchRun> {
  const { cacheDir, append = '', onProgress = () => undefined } = options;
  const aboard = units.map((unit) => ({ ...unit, file: `${HOME}/objects/${unit.path}` }));
  const objects = new Map(units.map(({ path, file }) => [path, file]));
  const targets = new Set(units.map(({ target }) => target).filter((target) => target !== VMLINUX));
  const files: readonly GuestFile[] = [
    ...(await guestProgram(join(import.meta.dirname, 'guest-main.ts'), PROGRAM)),
    ...(await guestModules(debian.modules, debian.release, targets)),
    ...[...objects].map(([path, from]) => ({ path: `${HOME}/objects/${path}`, from })),
    { path: UNITS, contents: JSON.stringify(aboard) },
  ];
  onProgress(`booting ${debian.release} with ${objects.size} objects and ${targets.size} modules`);
  await using vm = await Vm.boot({
    image: debian.image,
    cacheDir,
    files,
    append,
    memoryMb: MEMORY_MB,
    bootTimeoutMs: BOOT_TIMEOUT_MS,
  });
  const { exitCode, stderr } = await vm.run(`node ${PROGRAM} ${UNITS} ${RESULT}`, {
    timeoutMs: MATCH_TIMEOUT_MS,
    onOutput: (bytes, stream) => {
      if (stream === 'stdout') onProgress(Buffer.from(bytes).toString('utf8').trimEnd());
    },
  });
  if (exitCode !== 0) throw new Error(`guest: matching failed, exit status ${exitCode}: ${stderr}`);
  return v.parse(matchRunSchema, JSON.parse((await vm.get(RESULT)).toString('utf8')));
}
