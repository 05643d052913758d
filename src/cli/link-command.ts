import { buildCommand, type Command } from '@stricli/core';
import { SIGNATURE_HASHES, type SignatureHash } from '../link/module-signature.ts';
import {
  type CliContext,
  commonAliases,
  commonFlags,
  describeCommand,
  lazily,
  modulesFlag,
  text,
  updateFile,
} from './command.ts';
import type { CommonFlags } from './session.ts';
import { passphraseFlag } from './signing-flags.ts';

export type LinkFlags = CommonFlags & {
  readonly image: string;
  readonly modules?: string;
  readonly output?: string;
  readonly 'sign-key'?: string;
  readonly 'sign-cert'?: string;
  readonly 'sign-hash'?: SignatureHash;
  readonly 'passphrase-file'?: string;
};

export const linkCommand: Command<CliContext> = buildCommand<LinkFlags, [string], CliContext>({
  loader: lazily(async () => (await import('./link.ts')).link),
  parameters: {
    flags: {
      image: {
        kind: 'parsed',
        parse: text,
        placeholder: 'VMLINUZ',
        brief: 'The kernel that the module is for',
      },
      modules: modulesFlag,
      output: {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: 'Where to write the module [ksplice_ID.ko]',
      },
      'sign-key': {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'KEYFILE',
        brief: 'Sign the module with this private key, PEM',
      },
      'sign-cert': {
        kind: 'parsed',
        parse: text,
        optional: true,
        placeholder: 'FILE',
        brief: "The key's certificate, PEM or DER, which the kernel trusts",
      },
      'sign-hash': {
        kind: 'enum',
        values: SIGNATURE_HASHES,
        optional: true,
        brief: 'What is signed: CONFIG_MODULE_SIG_HASH of the kernel [sha256]',
      },
      'passphrase-file': passphraseFlag,
      ...commonFlags,
    },
    aliases: { o: 'output', ...commonAliases },
    positional: updateFile,
  },
  docs: {
    brief: 'Make a livepatch module of an update that needs no linking on the machine',
    fullDescription: describeCommand(
      "Matches the update with a kernel in its file, and links it as a module of that kernel's own livepatch, with no address in\nit. It can be signed, here or elsewhere, and modprobe or insmod applies it, also where only signed modules are loaded\n(Secure Boot). view and undo know it as any update.",
      [0, 2, 4, 64, 65, 69, 70],
      [
        'ksplice link fix.ksplice --image /boot/vmlinuz-6.1.0-47-cloud-amd64 -o ksplice_fix.ko --sign-key /var/lib/dkms/mok.key --sign-cert /var/lib/dkms/mok.pub',
        'sudo insmod ksplice_fix.ko',
      ],
    ),
  },
});
