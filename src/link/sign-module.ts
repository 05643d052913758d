/**
 * Signs a module as the kernel's own scripts/sign-file does: PKCS #7 without attributes and certificates, over the whole file
 * (CMS_NOCERTS | CMS_BINARY | CMS_NOATTR, the signer by issuer and serial number).
 *
 * openssl does it, which every build machine of a kernel has, as the kernel's build needs it for the same; sign-file itself is in
 * a tree that was prepared for one kernel, and need not be there. For the same key and hash both write the same bytes.
 *
 * openssl reads the key from its own file, which is copied nowhere, and a passphrase from standard input.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FormatError, MissingError, UsageError } from '../diagnostics/error.ts';
import { CommandError } from '../process/command-error.ts';
import { run } from '../process/run.ts';
import { appendSignature, type SignatureHash } from './module-signature.ts';

export interface ModuleSigner {
  /** Who signs, as the certificate has it: for people. */
  readonly subject: string;
  /** `place`: a directory for files of root's, or of whoever signs, that are removed again. */
  readonly sign: (module: Uint8Array, place?: string) => Promise<Uint8Array>;
}

export interface SignerFiles {
  /** Private key, PEM, and the file that it is in. */
  readonly key: { readonly text: string; readonly file: string };
  /** Certificate, PEM or DER. */
  readonly certificate: { readonly bytes: Uint8Array; readonly file: string };
  readonly passphrase: string | undefined;
  readonly hash: SignatureHash;
}

function readKey({ key, passphrase }: SignerFiles): KeyObject {
  if (/ENCRYPTED/.test(key.text) && passphrase === undefined) {
    throw new UsageError('usage', `${key.file}: the key is encrypted`, {
      hint: 'give its passphrase: --passphrase-file FILE',
    });
  }
  try {
    return createPrivateKey({ key: key.text, ...(passphrase === undefined ? {} : { passphrase }) });
  } catch (cause) {
    const what =
      passphrase === undefined ? 'no private key in PEM' : 'no private key that this passphrase opens';
    // The cause is not told: it may quote the file.
    throw new FormatError('malformed_key', `${key.file}: ${what}`, {
      hint: 'a key in hardware signs what link writes without --sign-key, by scripts/sign-file of the kernel',
      cause,
    });
  }
}

function readCertificate({ bytes, file }: SignerFiles['certificate']): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (cause) {
    throw new FormatError('malformed_key', `${file}: no X.509 certificate, in PEM or DER`, { cause });
  }
}

async function runOpenssl(files: SignerFiles, directory: string): Promise<void> {
  const [certificate, content, output] = ['certificate.pem', 'module.ko', 'signature'] as const;
  const key = path.resolve(files.key.file);
  const signer = ['-md', files.hash, '-signer', certificate, '-inkey', key, '-passin', 'stdin'] as const;
  const options = ['-binary', '-noattr', '-nocerts', '-nosmimecap', '-outform', 'DER'] as const;
  try {
    await run(
      [...(['openssl', 'cms', '-sign'] as const), ...options, ...signer, '-in', content, '-out', output],
      { cwd: directory, input: `${files.passphrase ?? ''}\n` },
    );
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== 'missing_tool') throw error;
    throw new MissingError('missing_tool', 'openssl: not found, which signs the module', {
      hint: 'apt-get install openssl',
    });
  }
}

/** Throws UsageError, FormatError `malformed_key`; signing itself MissingError `missing_tool`. */
export function moduleSigner(files: SignerFiles): ModuleSigner {
  const key = readKey(files);
  const certificate = readCertificate(files.certificate);
  const type = key.asymmetricKeyType;
  if (type !== 'rsa' && type !== 'ec') {
    throw new FormatError('malformed_key', `${files.key.file}: a key of type ${type}`, {
      hint: 'kernels verify modules by RSA, newer ones by ECDSA',
    });
  }
  if (!certificate.checkPrivateKey(key)) {
    throw new UsageError('usage', `${files.certificate.file} is not the certificate of ${files.key.file}`, {
      hint: 'give the two that were made together, as DKMS does mok.key and mok.pub',
    });
  }
  return {
    subject: certificate.subject.replaceAll('\n', ', '),
    sign: async (module, place = tmpdir()) => {
      const directory = mkdtempSync(path.join(place, '.ksplice-sign-'));
      try {
        writeFileSync(path.join(directory, 'module.ko'), module, { mode: 0o600 });
        writeFileSync(path.join(directory, 'certificate.pem'), certificate.toString());
        await runOpenssl(files, directory);
        const signature = readFileSync(path.join(directory, 'signature'));
        return appendSignature({ module, signature });
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  };
}
