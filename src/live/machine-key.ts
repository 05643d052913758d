/**
 * The machine's own key for modules, with which modules that are linked here are signed: where the kernel takes signed ones only,
 * and a key that its owner has enrolled (mokutil --import), as for the modules that DKMS builds.
 *
 *     /etc/ksplice/module-signing
 *     key = /var/lib/dkms/mok.key
 *     certificate = /var/lib/dkms/mok.pub
 *     hash = sha256
 *
 * With this file everything is signed. Without it DKMS's key is taken where there is one and the kernel asks for signatures.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { FormatError, MissingError } from '../diagnostics/error.ts';
import { SIGNATURE_HASHES, type SignatureHash } from '../link/module-signature.ts';
import { type ModuleSigner, moduleSigner } from '../link/sign-module.ts';
import { quoted } from '../update/malformed.ts';
import { readOr } from './module-state.ts';
import { readTrustedFile } from './trust/trusted-file.ts';

export const MODULE_SIGNING = 'etc/ksplice/module-signing';
const LIMIT = 65_536;

/** Paths are absolute. */
export interface MachineKey {
  readonly key: string;
  readonly certificate: string;
  readonly hash: SignatureHash;
}

const DKMS: MachineKey = {
  key: '/var/lib/dkms/mok.key',
  certificate: '/var/lib/dkms/mok.pub',
  hash: 'sha256',
};

function malformed(file: string, line: number, found: string): FormatError {
  const expected = `key = PATH, certificate = PATH, or hash = ${SIGNATURE_HASHES.join(' or ')}, each once`;
  return new FormatError('malformed_policy', `${file}:${line}: found ${found}, expected ${expected}`, {
    hint: 'paths are absolute; hash may be left out; comments begin with #',
    details: { file, line },
  });
}

/** Throws FormatError `malformed_policy` with file and line. */
export function parseMachineKey(text: string, file: string): MachineKey {
  const found = new Map<string, string>();
  const lines = text.split('\n');
  for (const [index, line] of lines.entries()) {
    if (/^[ \t]*(#.*)?\r?$/.test(line)) continue;
    const [, name = '', value = ''] = /^[ \t]*(\w+)[ \t]*=[ \t]*(\S+)[ \t]*\r?$/.exec(line) ?? [];
    const isKnown =
      name === 'hash' ? SIGNATURE_HASHES.some((each) => each === value) : path.isAbsolute(value);
    if (!['key', 'certificate', 'hash'].includes(name) || !isKnown || found.has(name)) {
      throw malformed(file, index + 1, quoted(line));
    }
    found.set(name, value);
  }
  const [key, certificate] = [found.get('key'), found.get('certificate')];
  if (key === undefined || certificate === undefined) {
    throw malformed(file, lines.length, `no ${key === undefined ? 'key' : 'certificate'}`);
  }
  return { key, certificate, hash: SIGNATURE_HASHES.find((each) => each === found.get('hash')) ?? 'sha256' };
}

/** What has the kernel refuse modules that are not signed, in its own words; undefined if nothing has. */
export function demandsSignatures(root = '/'): string | undefined {
  const lockdown = /\[(integrity|confidentiality)\]/.exec(
    readOr(path.join(root, 'sys/kernel/security/lockdown'), ''),
  );
  if (lockdown !== null) return `lockdown=${lockdown[1]}`;
  const enforced = readOr(path.join(root, 'sys/module/module/parameters/sig_enforce'), 'N');
  return enforced === 'Y' ? 'module.sig_enforce' : undefined;
}

function chosenKey(root: string): MachineKey | undefined {
  const file = path.join(root, MODULE_SIGNING);
  const text = readTrustedFile(root, file, LIMIT);
  if (text !== undefined) return parseMachineKey(text, file);
  const hasDkms = [DKMS.key, DKMS.certificate].every((each) => existsSync(path.join(root, each)));
  return hasDkms && demandsSignatures(root) !== undefined ? DKMS : undefined;
}

/**
 * Undefined where modules are loaded as they are. Throws FormatError for a file or key that is malformed, RefusedError
 * `unsafe_file`, MissingError if the key is not there, UsageError for an encrypted one.
 */
export function machineSigner(root = '/'): ModuleSigner | undefined {
  const chosen = chosenKey(root);
  if (chosen === undefined) return undefined;
  const [key, certificate] = [path.join(root, chosen.key), path.join(root, chosen.certificate)];
  const text = readTrustedFile(root, key, LIMIT);
  if (text === undefined || !existsSync(certificate)) {
    throw new MissingError(
      'lockdown',
      `${text === undefined ? key : certificate}: not there, to sign modules`,
      {
        hint: `correct ${path.join(root, MODULE_SIGNING)}, or remove it`,
      },
    );
  }
  return moduleSigner({
    key: { text, file: key },
    certificate: { bytes: readFileSync(certificate), file: certificate },
    passphrase: undefined,
    hash: chosen.hash,
  });
}
