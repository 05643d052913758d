/**
 * What a signature is worth on this machine.
 *
 * `warn` is for machines on the way to `require`: it lets pass what says nothing (no signature, a key that is not
 * known). What speaks against an update is refused in both: a signature that is wrong, a revoked key, an update that is
 * older than the one that was applied under its ID, or is signed no more where that one was. Else whoever can
 * offer files could bring an old hole back by taking a signature off.
 */
import type { ErrorCode } from '../../diagnostics/codes.ts';
import { RefusedError } from '../../diagnostics/error.ts';
import { isSignedBy } from '../../update/signature.ts';
import { shortKeyId } from '../../update/signing-keys.ts';
import type { Update } from '../../update/update.ts';
import type { SignedRecord } from './signed-records.ts';
import type { Trust } from './trust.ts';

export type Standing =
  | 'trusted'
  | 'not_checked'
  | Extract<ErrorCode, 'not_signed' | 'unknown_key' | 'revoked_key' | 'bad_signature' | 'older_update'>;

/** What is told of an update's signature. */
export interface SignatureVerdict {
  readonly standing: Standing;
  /** Name of the trusted key. */
  readonly signer: string | null;
  /** SHA-256 of the key that the signature names. */
  readonly key: string | null;
  readonly serial: number | null;
}

/** A verdict, and why it is not `trusted`. */
export interface Judgement {
  readonly verdict: SignatureVerdict;
  readonly problem?: Problem;
}

interface Problem {
  readonly message: string;
  readonly hint: string;
  /** Refused where the policy is `warn`, too. */
  readonly isContradiction: boolean;
}

type Judged = Pick<Update, 'id' | 'digest' | 'signature'>;

const SIGN =
  'sign it with a key that is trusted here (ksplice key list): ksplice key sign FILE --key KEYFILE';

/** The verdict on the signature by itself, without what was applied before. */
function judgeSignature({ id, signature }: Judged, trust: Trust): Judgement {
  const none = { signer: null, key: null, serial: null };
  if (trust.mode === 'off') {
    const { key = null, serial = null } = signature?.statement ?? {};
    return { verdict: { standing: 'not_checked', signer: null, key, serial } };
  }
  if (signature === undefined) {
    return {
      verdict: { standing: 'not_signed', ...none },
      problem: { message: `${id}: it is not signed`, hint: SIGN, isContradiction: false },
    };
  }
  const { key, serial } = signature.statement;
  const said = { signer: null, key, serial };
  if (trust.revoked.has(key)) {
    return {
      verdict: { standing: 'revoked_key', ...said },
      problem: {
        message: `${id}: it is signed with the key ${shortKeyId(key)}, which was revoked`,
        hint: SIGN,
        isContradiction: true,
      },
    };
  }
  const trusted = trust.keys.find((each) => each.id === key);
  if (trusted === undefined) {
    const known = trust.keys.map((each) => `${each.name} (${shortKeyId(each.id)})`).join(', ');
    return {
      verdict: { standing: 'unknown_key', ...said },
      problem: {
        message: `${id}: it is signed with the key ${shortKeyId(key)}, which is not trusted here; trusted: ${known || 'none'}`,
        hint: 'if you know the owner of that key: ksplice key trust FILE.pem, with the public key from him',
        isContradiction: false,
      },
    };
  }
  if (!isSignedBy(signature, trusted.key)) {
    return {
      verdict: { standing: 'bad_signature', ...said },
      problem: {
        message: `${id}: its signature is not one of ${trusted.name} (${shortKeyId(key)}), which it names`,
        hint: 'the file was altered: get it again, from where it was signed',
        isContradiction: true,
      },
    };
  }
  return { verdict: { standing: 'trusted', signer: trusted.name, key, serial } };
}

/** Does it take the place of something later? `before`: what was applied under this ID to this kernel, by `serial`. */
function judgeOrder(update: Judged, judgement: Judgement, before: SignedRecord): Judgement {
  const { id, digest } = update;
  const { verdict, problem } = judgement;
  const { standing, serial } = verdict;
  if (standing === 'not_signed' || standing === 'unknown_key') {
    return {
      verdict,
      problem: {
        message: `${problem?.message ?? id}, and one that was signed (serial ${before.serial}) has been applied under this ID`,
        hint: SIGN,
        isContradiction: true,
      },
    };
  }
  if (standing !== 'trusted' || serial === null || serial > before.serial) return judgement;
  if (serial === before.serial && digest === before.digest) return judgement;
  const how = serial === before.serial ? 'another one of this serial' : `a later one, ${before.serial},`;
  return {
    verdict: { ...verdict, standing: 'older_update' },
    problem: {
      message: `${id}: it is signed with serial ${serial}, and ${how} has been applied under this ID`,
      hint: 'to go back on purpose, its owner signs it anew, which gives it a later serial: ksplice key sign FILE --key KEYFILE',
      isContradiction: true,
    },
  };
}

/** `before`: the record of this ID on this kernel. */
export function judge(update: Judged, trust: Trust, before: SignedRecord | undefined): Judgement {
  const judgement = judgeSignature(update, trust);
  if (trust.mode === 'off' || before === undefined) return judgement;
  return judgeOrder(update, judgement, before);
}

/** Throws RefusedError where the policy wants it; else hands what is wrong to `warn`. */
export function enforce({ verdict, problem }: Judgement, trust: Trust, warn: (text: string) => void): void {
  const { standing } = verdict;
  if (problem === undefined || standing === 'trusted' || standing === 'not_checked') return;
  if (trust.mode === 'require' || problem.isContradiction) {
    throw new RefusedError(standing, problem.message, {
      hint: problem.hint,
      details: { ...verdict, policy: trust.mode },
    });
  }
  warn(problem.message);
}
