/**
 * `ksplice key trust`, `revoke` and `list`: whom this machine believes.
 */
import path from 'node:path';
import { requireRoot } from '../live/require-root.ts';
import { revokeKey, trustKey } from '../live/trust/change-trust.ts';
import { readKeys, readRevoked, readTrust, trustPaths } from '../live/trust/trust.ts';
import { parsePublicKey, shortKeyId } from '../update/signing-keys.ts';
import type { KeyTrustFlags } from './key-command.ts';
import type { CommonFlags, Session } from './session.ts';
import { readSmallFile } from './signer.ts';

/** `ksplice key trust FILE` */
export async function trust(session: Session, flags: KeyTrustFlags, file: string): Promise<void> {
  requireRoot('say which keys this machine trusts');
  const key = parsePublicKey(readSmallFile(file), file);
  const paths = trustPaths();
  const name = trustKey(paths, flags.name ?? path.basename(file).replace(/\.(?:pem|pub)$/, ''), key);
  const { mode, hasPolicy } = readTrust(paths);
  const policy = hasPolicy
    ? `policy: ${mode}`
    : `there is no ${paths.policy}: updates that are not signed are applied with a warning; to refuse them, put in it: signatures = require`;
  session.done(
    { name, key: key.id, policy: mode },
    `trusted: ${name}, key ${shortKeyId(key.id)}\n${policy}\n`,
  );
}

/** `ksplice key revoke KEY` */
export async function revoke(session: Session, _flags: CommonFlags, wanted: string): Promise<void> {
  requireRoot('say which keys this machine trusts');
  const key = revokeKey(trustPaths(), wanted);
  session.done({ key }, `revoked: key ${shortKeyId(key)}; what it has signed is refused from now on\n`);
}

/** `ksplice key list` */
export async function listKeys(session: Session): Promise<void> {
  const paths = trustPaths();
  const { mode, hasPolicy } = readTrust(paths);
  const revoked = [...readRevoked(paths)].sort();
  const trusted = readKeys(paths).filter(({ id }) => !revoked.includes(id));
  const lines = [
    `policy: ${mode} (${hasPolicy ? paths.policy : `there is no ${paths.policy}`})`,
    ...trusted.map(({ id, name }) => `trusted  ${shortKeyId(id)}  ${name}`),
    ...revoked.map((id) => `revoked  ${shortKeyId(id)}`),
  ];
  session.result(
    {
      policy: mode,
      policyFile: hasPolicy ? paths.policy : null,
      trusted: trusted.map(({ id, name }) => ({ key: id, name })),
      revoked,
    },
    `${lines.join('\n')}\n`,
  );
}
