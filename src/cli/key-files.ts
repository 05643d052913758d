/**
 * `ksplice key generate`, `public` and `sign`: what is done where keys are kept.
 */
import { closeSync, fsyncSync, openSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '../diagnostics/error.ts';
import { readUpdateBytes } from '../update/read-update.ts';
import {
  encodePublicKey,
  generateKeys,
  parsePrivateKey,
  parsePublicKey,
  publicHalf,
  shortKeyId,
} from '../update/signing-keys.ts';
import type { KeyFileFlags, KeySignFlags } from './key-command.ts';
import type { Session } from './session.ts';
import { readPassphrase, readPrivateKeyText, readSigner } from './signer.ts';
import { writeOutput } from './write-output.ts';

/** A new file with exactly this mode; one that exists is left as it is. Throws UsageError. */
function writeNew(file: string, text: string, mode: number): void {
  let fd: number;
  try {
    fd = openSync(file, 'wx', mode);
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('usage', exists ? `${file}: exists already` : `cannot write ${file}: ${reason}`, {
      hint: exists
        ? 'a key that may be in use is not written over: choose another name'
        : 'choose another place',
      cause,
    });
  }
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** `ksplice key generate FILE` */
export async function generateKey(session: Session, flags: KeyFileFlags, file: string): Promise<void> {
  const made = generateKeys(readPassphrase(flags['passphrase-file']));
  const publicFile = `${file}.pem`;
  const { id } = parsePublicKey(made.public, publicFile);
  writeNew(publicFile, made.public, 0o644);
  try {
    writeNew(file, made.private, 0o600);
  } catch (error) {
    rmSync(publicFile, { force: true });
    throw error;
  }
  const { cwd } = session.host;
  session.done(
    { key: id, private: path.resolve(cwd, file), public: path.resolve(cwd, publicFile) },
    `made key ${shortKeyId(id)}\n  private: ${file}   sign with it, show it to nobody, have a copy in a safe place\n  public:  ${publicFile}   for the machines: ksplice key trust ${publicFile}\n`,
  );
}

/** `ksplice key public FILE` */
export async function publicKey(session: Session, flags: KeyFileFlags, file: string): Promise<void> {
  const passphrase = readPassphrase(flags['passphrase-file']);
  const half = publicHalf(parsePrivateKey(readPrivateKeyText(file), file, passphrase));
  const pem = encodePublicKey(half);
  session.result({ key: half.id, pem }, pem);
}

/** `ksplice key sign FILE... --key KEYFILE`. Nothing is written unless all can be signed. */
export async function signFiles(
  session: Session,
  flags: KeySignFlags,
  ...files: readonly string[]
): Promise<void> {
  const signer = readSigner(session.host, flags);
  if (signer === undefined) throw new UsageError('usage', '--key is missing', { hint: 'give --key KEYFILE' });
  const signed = [];
  for (const file of files) {
    session.progress.step(`signing ${file}`);
    signed.push({ file, ...(await signer.sign(readUpdateBytes(file), file)) });
  }
  for (const { file, bytes } of signed) await writeOutput(file, bytes);
  session.done(
    { updates: signed.map(({ file, statement }) => ({ file, ...statement })) },
    signed
      .map(
        ({ file, statement: { id, key, serial } }) =>
          `${file}: ${id} signed with key ${shortKeyId(key)}, serial ${serial}\n`,
      )
      .join(''),
  );
}
