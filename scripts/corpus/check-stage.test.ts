import { describe, expect, test } from 'vitest';
import { RefusedError } from '../../src/diagnostics/error.ts';
import { toAddress } from '../../src/kernel/address.ts';
import { checkSite } from '../../src/link/old-code.ts';
import { judgeCheck, type ToolEnd } from './check-stage.ts';

const facts = {
  needLivepatch: new Map([['tcp_v4_rcv', 'jump-label' as const]]),
  names: ['tcp_v4_rcv', 'tcp_init_sock'],
};

function ended(exitCode: number, output: object | string, stderr = ''): ToolEnd {
  return { exitCode, stdout: typeof output === 'string' ? output : JSON.stringify(output), stderr };
}

/** What the linker says where the kernel rewrites a byte that the jump would need. */
function noRoom(name: string): object {
  const body = new Uint8Array(16);
  const mask = new Uint8Array(16).fill(0xff);
  mask[7] = 0;
  try {
    checkSite(name, { start: toAddress(0xffffffff81000000n), hasEntry: true, body, mask }, 5, 5);
  } catch (error) {
    if (error instanceof RefusedError) return error.toJSON();
  }
  throw new Error('was not refused');
}

describe('how check ended', () => {
  test('a match counts the code that was compared', () => {
    const units = [
      { matches: true, compared: 1024 },
      { matches: true, compared: 512 },
    ];
    expect(judgeCheck(ended(0, { id: 'x', mode: 'strict', units }), facts)).toEqual({
      outcome: 'matches',
      causes: [],
      text: '1.5 KB compared',
      numbers: { compared: 1536 },
    });
  });

  test('no room for the jump in a function that create marked is a case for livepatch', () => {
    expect(judgeCheck(ended(2, noRoom('tcp_v4_rcv')), facts)).toMatchObject({
      outcome: 'needs_livepatch',
      causes: ['a jump label where the jump would go'],
      text: 'a jump label at the start of tcp_v4_rcv',
    });
  });

  test('no room in one that create did not mark is a refusal: it did not know', () => {
    expect(judgeCheck(ended(2, noRoom('tcp_init_sock')), facts)).toMatchObject({
      outcome: 'refused',
      causes: ['refused: NAME: no room for a jump at N: the kernel rewrites N'],
    });
  });

  test('status 4 is a mismatch, with its message', () => {
    const message = 'net/ipv4/tcp.o: tcp_init_sock+0x3: 0x90, expected 0x91';
    expect(judgeCheck(ended(4, { code: 'no_match', message }), facts)).toEqual({
      outcome: 'no_match',
      causes: ['no_match: FILE: NAME+N: N, expected N'],
      text: message,
      numbers: {},
    });
  });

  test.each([
    [65, 'malformed_image'],
    [69, 'target_not_loaded'],
  ])('status %i is refused, by code', (status, code) => {
    expect(judgeCheck(ended(status, { code, message: 'what?' }), facts)).toMatchObject({
      outcome: 'refused',
      causes: [`${code}: what?`],
    });
  });

  test.each([
    ['our bug', ended(70, { code: 'unexpected', message: 'oops' }), 'oops'],
    ['a command line that it does not know', ended(64, { code: 'usage', message: 'what?' }), 'what?'],
    ['a crash', ended(1, '', 'first\nlast\n'), 'exit status 1 without an error object: last'],
    ['no result', ended(0, {}), 'exit status 0, and no result: {}'],
    ['no JSON', ended(0, 'fine\n'), 'exit status 0, and no JSON: fine'],
    [
      'a unit that does not match after all',
      ended(0, { mode: 'strict', units: [{ matches: false, compared: 0 }] }),
      'exit status 0, and no result: {"mode":"strict","units":[{"matches":false,"compared":0}]}',
    ],
  ])('%s is an internal error', (_, end, text) => {
    expect(judgeCheck(end, facts)).toMatchObject({ outcome: 'internal_error', text });
  });
});
