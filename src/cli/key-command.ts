import { buildCommand, buildRouteMap, type Command, type RouteMap } from '@stricli/core';
import { type CliContext, commonAliases, commonFlags, describeCommand, lazily, text } from './command.ts';
import type { CommonFlags } from './session.ts';
import { passphraseFlag, signingFlags } from './signing-flags.ts';

export type KeyFileFlags = CommonFlags & {
  readonly 'passphrase-file'?: string;
};

export type KeySignFlags = KeyFileFlags & {
  readonly key: string;
  readonly serial?: number;
};

export type KeyTrustFlags = CommonFlags & {
  readonly name?: string;
};

const generateCommand: Command<CliContext> = buildCommand<KeyFileFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./key-files.ts')).generateKey),
  parameters: {
    flags: { 'passphrase-file': passphraseFlag, ...commonFlags },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: text,
          placeholder: 'FILE',
          brief: 'Where to write the private key; the public one is FILE.pem',
        },
      ],
    },
  },
  docs: {
    brief: 'Make a key to sign updates with',
    fullDescription: describeCommand(
      'Makes an Ed25519 key: FILE, the private half (PKCS #8 in PEM, mode 0600), and FILE.pem, the public one, for the machines.\nA file that exists is not written over. With a passphrase the private half is encrypted.',
      [0, 64, 70],
      ['ksplice key generate release-2026', 'ksplice key generate release-2026 --passphrase-file /dev/stdin'],
    ),
  },
});

const publicCommand: Command<CliContext> = buildCommand<KeyFileFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./key-files.ts')).publicKey),
  parameters: {
    flags: { 'passphrase-file': passphraseFlag, ...commonFlags },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: text, placeholder: 'FILE', brief: 'Private key' }],
    },
  },
  docs: {
    brief: 'Print the public half of a private key',
    fullDescription: describeCommand(
      'Prints the public half of a private key, in PEM, as `ksplice key trust` takes it.',
      [0, 2, 64, 65, 70],
      ['ksplice key public release-2026 > release-2026.pem'],
    ),
  },
});

const signCommand: Command<CliContext> = buildCommand<KeySignFlags, string[], CliContext>({
  loader: lazily(async () => (await import('./key-files.ts')).signFiles),
  parameters: {
    flags: {
      key: { kind: 'parsed', parse: text, placeholder: 'KEYFILE', brief: 'Private key' },
      ...signingFlags,
      ...commonFlags,
    },
    aliases: commonAliases,
    positional: {
      kind: 'array',
      minimum: 1,
      parameter: { parse: text, placeholder: 'FILE', brief: 'Update file, as ksplice create wrote it' },
    },
  },
  docs: {
    brief: 'Sign update files that exist',
    fullDescription: describeCommand(
      'Signs update files in place: each gets a signature, in place of one that it may have. All are checked in full before the\nfirst is written. Needs neither root nor a kernel, so the key can stay on a machine of its own.',
      [0, 2, 64, 65, 70],
      ['ksplice key sign cve_2026_53249.ksplice --key release-2026'],
    ),
  },
});

const trustCommand: Command<CliContext> = buildCommand<KeyTrustFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./key-trust.ts')).trust),
  parameters: {
    flags: {
      name: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'NAME',
        brief: 'What the key is called here [the name of the file, without .pem]',
      },
      ...commonFlags,
    },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [{ parse: text, placeholder: 'FILE', brief: 'Public key, in PEM' }],
    },
  },
  docs: {
    brief: 'Have this machine take updates that a key has signed',
    fullDescription: describeCommand(
      'Puts a public key into /etc/ksplice/keys.d. /etc/ksplice/policy says what becomes of updates that no such key has signed:\n`signatures = require` refuses them, `warn` warns, `off` does not look.',
      [0, 2, 64, 65, 69, 70],
      [
        'sudo ksplice key trust release-2026.pem',
        "echo 'signatures = require' | sudo tee /etc/ksplice/policy",
      ],
    ),
  },
});

const revokeCommand: Command<CliContext> = buildCommand<CommonFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./key-trust.ts')).revoke),
  parameters: {
    flags: { ...commonFlags },
    aliases: commonAliases,
    positional: {
      kind: 'tuple',
      parameters: [
        {
          parse: text,
          placeholder: 'KEY',
          brief: 'Its name here, its number as listed, or its whole SHA-256',
        },
      ],
    },
  },
  docs: {
    brief: 'Have this machine never take what a key has signed',
    fullDescription: describeCommand(
      'Takes a key out of /etc/ksplice/keys.d and notes it in /etc/ksplice/revoked, where it counts for good, whatever is put\ninto keys.d later. What it has signed is refused from now on; updates that are applied stay applied.',
      [0, 2, 64, 65, 69, 70],
      ['sudo ksplice key revoke release-2025'],
    ),
  },
});

const listCommand: Command<CliContext> = buildCommand<CommonFlags, [], CliContext>({
  loader: lazily(async () => (await import('./key-trust.ts')).listKeys),
  parameters: { flags: { ...commonFlags }, aliases: commonAliases },
  docs: {
    brief: 'List the keys that this machine trusts, and its policy',
    fullDescription: describeCommand(
      'Lists the policy that holds, the keys that are trusted, and those that are revoked.',
      [0, 2, 64, 65, 69, 70],
      ['ksplice key list', 'ksplice key list --json'],
    ),
  },
});

export const keyCommands: RouteMap<CliContext> = buildRouteMap<
  'generate' | 'public' | 'sign' | 'trust' | 'revoke' | 'list',
  CliContext
>({
  routes: {
    generate: generateCommand,
    public: publicCommand,
    sign: signCommand,
    trust: trustCommand,
    revoke: revokeCommand,
    list: listCommand,
  },
  docs: { brief: 'Keys: make them, sign updates with them, say which are trusted here' },
});
