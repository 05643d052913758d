import { KspliceError } from '../../diagnostics/error.ts';
import type { Update } from '../../update/update.ts';
import { judge, type SignatureVerdict } from './judge.ts';
import { readTrust, type Trust, trustPaths } from './trust.ts';

/** For who only looks: what this machine thinks of signatures. A policy that cannot be read verifies nothing. */
export function signatureLook(
  root = '/',
): (update: Pick<Update, 'id' | 'digest' | 'signature'>) => SignatureVerdict {
  let trust: Trust = { mode: 'off', hasPolicy: false, keys: [], revoked: new Set() };
  try {
    trust = readTrust(trustPaths(root));
  } catch (error) {
    if (!(error instanceof KspliceError)) throw error;
  }
  return (update) => judge(update, trust, undefined).verdict;
}
