/**
 * Loads and unloads modules with the system's own insmod and rmmod.
 *
 * A linked module holds kernel addresses: it is written to a directory that only root can enter, on
 * tmpfs, with mode 0600, and removed as soon as it has been loaded, or could not be.
 */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BusyError, MatchError, MissingError } from '../diagnostics/error.ts';
import type { ModuleSigner } from '../link/sign-module.ts';
import { run } from '../process/run.ts';
import { demandsSignatures, machineSigner } from './machine-key.ts';
import { isModuleLoaded, readOr } from './module-state.ts';
import { RUN_ROOT } from './paths.ts';

export const SIGNED_ONLY =
  'have them signed with a key that the kernel trusts (docs/signed-modules.md): /etc/ksplice/module-signing, or ksplice link where updates are made';

/** The path of a program of kmod. Throws MissingError. */
export function systemTool(name: string): string {
  const found = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']
    .map((dir) => path.join(dir, name))
    .find(existsSync);
  if (found === undefined) {
    throw new MissingError('missing_tool', `${name}: not found`, { hint: 'apt-get install kmod' });
  }
  return found;
}

/** Where the programs are that load and unload modules. Throws MissingError. */
export function moduleTools(): readonly string[] {
  return ['insmod', 'rmmod'].map(systemTool);
}

/** What the machine forbids, named before anything is tried. */
export function checkModulesAllowed(): void {
  if (readOr('/proc/sys/kernel/modules_disabled', '0') === '1') {
    throw new MissingError('modules_disabled', 'kernel.modules_disabled is 1: no module can be loaded', {
      hint: 'it cannot be set back: boot without what sets it (grep -r modules_disabled /etc/sysctl.conf /etc/sysctl.d)',
    });
  }
  const demanded = demandsSignatures();
  if (demanded === undefined || machineSigner() !== undefined) return;
  throw new MissingError(
    'lockdown',
    `the kernel takes signed modules only (${demanded}), and there is no key to sign with`,
    { hint: SIGNED_ONLY },
  );
}

/** `signer`: who has signed the module, if somebody has. */
function loadError(name: string, stderr: string, signer?: ModuleSigner): Error {
  const details = { module: name, insmod: stderr };
  const reason = stderr.replace(/^.*: /s, '').trim();
  if (/Operation not permitted|Key was rejected|Required key/.test(stderr)) {
    return new MissingError('lockdown', `${name}: the kernel refused the module: ${reason}`, {
      hint:
        signer === undefined
          ? SIGNED_ONLY
          : `the kernel does not trust the key of ${signer.subject}: mokutil --import its certificate, and reboot`,
      details,
    });
  }
  if (/Invalid module format|Exec format/.test(stderr)) {
    return new MatchError('no_match', `${name}: the kernel refused the module: ${reason}`, {
      hint: 'the update was made for another kernel; dmesg says what differs',
      details,
    });
  }
  if (/Device or resource busy/.test(stderr)) {
    return new BusyError('module_busy', `${name}: another update has replaced one of its functions`, {
      hint: 'undo that update first: dmesg names it',
      details,
    });
  }
  return new MatchError('failed_to_find', `${name}: the kernel refused the module: ${reason}`, {
    hint: 'dmesg says why',
    details,
  });
}

/** Takes away linked modules that a run which was killed while it loaded them has left. */
export function removeLinkedModules(): void {
  if (!existsSync(RUN_ROOT)) return;
  for (const name of readdirSync(RUN_ROOT)) {
    if (/^\.(?:.*\.ko|ksplice-sign-.*)$/.test(name)) {
      rmSync(path.join(RUN_ROOT, name), { recursive: true, force: true });
    }
  }
}

export async function loadModule(name: string, bytes: Uint8Array): Promise<void> {
  const insmod = systemTool('insmod');
  mkdirSync(RUN_ROOT, { recursive: true, mode: 0o700 });
  const signer = machineSigner();
  const signed = signer === undefined ? bytes : await signer.sign(bytes, RUN_ROOT);
  const file = path.join(RUN_ROOT, `.${name}.ko`);
  rmSync(file, { force: true });
  writeFileSync(file, signed, { mode: 0o600, flag: 'wx' });
  try {
    const { exitCode, stderr } = await run([insmod, file], { okExitCodes: [0, 1, 255] });
    if (exitCode !== 0) throw loadError(name, stderr, signer);
  } finally {
    rmSync(file, { force: true });
  }
}

/** Loads a module that lies below /lib/modules. */
export async function loadModuleOfKernel(name: string): Promise<void> {
  const { exitCode, stderr } = await run([systemTool('modprobe'), name], { okExitCodes: [0, 1, 255] });
  if (exitCode === 0) return;
  if (stderr.includes('not found in directory')) {
    throw new MissingError(
      'core_incompatible',
      `${name}: a module of this kernel, but not in modprobe's index`,
      {
        hint: 'depmod -a, and apply again',
        details: { module: name, modprobe: stderr },
      },
    );
  }
  throw loadError(name, stderr);
}

/** Returns what rmmod said if the module could not be unloaded. */
export async function unloadModule(name: string): Promise<string | undefined> {
  if (!isModuleLoaded(name)) return undefined;
  const { exitCode, stderr } = await run([systemTool('rmmod'), name], { okExitCodes: [0, 1, 255] });
  return exitCode === 0 ? undefined : stderr.trim();
}
