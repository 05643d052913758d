import path from 'node:path';
import { MatchError, UsageError } from '../diagnostics/error.ts';
import { ImageKernel } from '../kernel/image/image-kernel.ts';
import { VMLINUX } from '../kernel/symbol-scope.ts';
import { linkAtRest } from '../link/link-at-rest.ts';
import { type ModuleSigner, moduleSigner } from '../link/sign-module.ts';
import { namesOf, readObjects } from '../link/update-objects.ts';
import { SignatureGate } from '../live/trust/gate.ts';
import { writeWhole } from '../process/write-whole.ts';
import { counted, formatSize } from '../report/format.ts';
import { identityDifference } from '../update/kernel-identity.ts';
import { readUpdateFile } from '../update/read-update.ts';
import { sha256 } from '../update/sha256.ts';
import type { LinkFlags } from './link-command.ts';
import type { Session } from './session.ts';
import { readPassphrase, readPrivateKeyText, readSmallBytes } from './signer.ts';

/** Before anything is linked: a key that cannot be used is found at once. Undefined without a key. */
function readModuleSigner(flags: LinkFlags): ModuleSigner | undefined {
  const { 'sign-key': key, 'sign-cert': certificate, 'sign-hash': hash = 'sha256' } = flags;
  if (key === undefined || certificate === undefined) {
    const [lonely] = (['sign-key', 'sign-cert', 'sign-hash', 'passphrase-file'] as const).filter(
      (name) => flags[name] !== undefined,
    );
    if (lonely === undefined) return undefined;
    throw new UsageError('usage', `--${lonely} goes with a key and its certificate`, {
      hint: 'give --sign-key KEYFILE and --sign-cert FILE',
    });
  }
  return moduleSigner({
    key: { text: readPrivateKeyText(key), file: key },
    certificate: { bytes: readSmallBytes(certificate), file: certificate },
    passphrase: readPassphrase(flags['passphrase-file']),
    hash,
  });
}

/** `ksplice link FILE --image VMLINUZ` */
export async function link(session: Session, flags: LinkFlags, file: string): Promise<void> {
  const { image, modules } = flags;
  const signer = readModuleSigner(flags);
  const update = readUpdateFile(file);
  const signature = new SignatureGate(undefined).admit(update, (warning) => {
    session.progress.print(`warning: ${warning}`);
  });
  const objects = readObjects(update);

  session.progress.step('reading the kernel');
  const kernel = await ImageKernel.open(image, modules === undefined ? {} : { modulesDirectory: modules });
  const identity = { release: kernel.release, banner: kernel.version };
  const difference = identityDifference(update.kernel, identity, `is in ${image}`);
  if (difference !== undefined) {
    throw new MatchError('no_match', `${update.id}: ${difference}`, {
      hint: 'create the update for that kernel',
    });
  }
  for (const { target } of objects.units) if (target !== VMLINUX) await kernel.loadModule(target);
  kernel.prefetch(namesOf(objects));

  session.progress.step('matching and linking');
  const linked = await linkAtRest(update, objects, kernel);
  if (signer !== undefined) session.progress.step('signing');
  const bytes = signer === undefined ? linked.bytes : await signer.sign(linked.bytes);
  const output = path.resolve(session.host.cwd, flags.output ?? `${linked.name}.ko`);
  await writeWhole(output, bytes);
  const functions = linked.trampolines.map(({ name }) => name);
  session.done(
    {
      id: update.id,
      module: linked.name,
      output,
      size: bytes.length,
      sha256: sha256(bytes),
      kernel: identity,
      functions,
      signedBy: signer?.subject ?? null,
      signature,
    },
    `made ${output} for ${kernel.release}: ${counted(functions.length, 'function')}, ${formatSize(bytes.length)}, ${signer === undefined ? 'not signed' : `signed by ${signer.subject}`}\n`,
  );
}
