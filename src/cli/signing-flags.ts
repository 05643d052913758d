import { LIMITS } from '../update/limits.ts';
import { text } from './command.ts';

function parseSerial(input: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(input)) {
    throw new RangeError(`expected a number from 1 to ${LIMITS.serial}`);
  }
  return Number(input);
}

export const passphraseFlag = {
  kind: 'parsed',
  parse: text,
  optional: true,
  placeholder: 'FILE',
  brief: 'The passphrase of the private key is the first line of this file',
} as const;

/** Flags of what signs updates, beside the key. */
export const signingFlags = {
  serial: {
    kind: 'parsed',
    parse: parseSerial,
    optional: true,
    placeholder: 'N',
    brief:
      'Serial of the signature: machines take nothing older than what they have applied [the time, in seconds since 1970]',
  },
  'passphrase-file': passphraseFlag,
} as const;
