/**
 * A static key, which turns branches of a matched unit from nops into jumps and back: toggled before an update is
 * checked, while it is applied, and before it is undone. Branches on it in the replacement code follow it too.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { debianSources } from '../../src/debian/debian-sources.ts';
import { judgeLog } from '../support/case/kernel-log.ts';
import { bootLiveGuest, guestKsplice, look, untouched } from '../support/live/live-guest.ts';
import { madePath, madeUpdate } from '../support/live/made-update.ts';
import { TEST_RELEASE, testCacheDir } from '../support/vm/test-kernel.ts';
import { testModuleFile, testModulePath } from '../support/vm/test-module.ts';
import type { Vm } from '../support/vm/vm.ts';

const ID = 'keyed';
const UPDATE = madePath(ID);
const SOURCE = 'net/ipv4/udp.c';
const FUNCTION = 'udp_queue_rcv_one_skb';
/** Holds the key on while it is loaded. */
const KEY_MODULE = 'encap_key';
/** Branches on the key that the compiled unit has, in three functions. */
const BRANCHES = 4;

/** Sends datagrams of these lengths to itself, the last of which always arrives; prints those that did. */
const DATAGRAMS = '/root/datagrams.cjs';
const DATAGRAMS_TEXT = `
const socket = require('node:dgram').createSocket('udp4');
const lengths = [];
socket.on('message', ({ length }) => {
  lengths.push(length);
  if (length === 1) socket.close(() => console.log(lengths.join(' ')));
});
socket.bind(0, '127.0.0.1', () => {
  for (const length of [12, 13, 14, 1]) socket.send(Buffer.alloc(length), socket.address().port, '127.0.0.1');
});
`;
const ALL_ARRIVE = '12 13 14 1';

/** Datagrams of 13 bytes are lost, and those of 14 bytes while the key is on. */
async function patchText(): Promise<string> {
  const { source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  const before = await readFile(join(source, SOURCE), 'utf8');
  const after = before.replace(
    '\tnf_reset_ct(skb);\n\n\tif (static_branch_unlikely(&udp_encap_needed_key) &&\n',
    (found) => `	if (skb->len == sizeof(struct udphdr) + 13)
		goto drop;
	if (static_branch_unlikely(&udp_encap_needed_key) &&
	    skb->len == sizeof(struct udphdr) + 14)
		goto drop;
${found}`,
  );
  expect(after).not.toBe(before);
  return createTwoFilesPatch(`a/${SOURCE}`, `b/${SOURCE}`, before, after);
}

const resultSchema = v.object({
  units: v.tuple([
    v.object({
      unit: v.literal('net/ipv4/udp.o'),
      matches: v.boolean(),
      explained: v.record(v.string(), v.number()),
    }),
  ]),
});

describe('a static key', () => {
  let folder: string;
  let vm: Vm;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ksplice-key-'));
    const patch = join(folder, 'key.patch');
    await writeFile(patch, await patchText());
    vm = await bootLiveGuest([
      await madeUpdate(folder, ID, patch),
      { path: DATAGRAMS, contents: DATAGRAMS_TEXT },
      await testModuleFile(KEY_MODULE),
    ]);
  });

  afterAll(async () => {
    await vm?.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function turn(position: 'on' | 'off'): Promise<void> {
    const command = position === 'on' ? `insmod ${testModulePath(KEY_MODULE)}` : `rmmod ${KEY_MODULE}`;
    expect(await vm.run(command)).toMatchObject({ exitCode: 0 });
  }

  async function arrived(): Promise<string> {
    const { stdout, stderr } = await vm.run(`node ${DATAGRAMS}`);
    return `${stdout}${stderr}`.trim();
  }

  /** How many branches of the unit have which form, in this order: nops, jumps. */
  async function branches(): Promise<readonly [number, number]> {
    const { exitCode, json } = await guestKsplice(vm, `check ${UPDATE}`);
    expect(exitCode, JSON.stringify(json)).toBe(0);
    const [{ matches, explained }] = v.parse(resultSchema, json).units;
    expect(matches).toBe(true);
    return [explained['jump label: nop'] ?? 0, explained['jump label: jump'] ?? 0];
  }

  async function expectCleanLog(): Promise<void> {
    const log = await vm.kernelLog();
    expect(judgeLog(log, []).trouble, log).toEqual([]);
  }

  it('on or off: the unit fits, and the check shows which', async () => {
    const [nops, jumps] = await branches();
    await turn('on');
    expect(await branches()).toEqual([nops - BRANCHES, jumps + BRANCHES]);
    await turn('off');
    expect(await branches()).toEqual([nops, jumps]);
    expect(await look(vm)).toEqual(untouched);
    await expectCleanLog();
  });

  it.for([
    ['on', 'off'],
    ['off', 'on'],
  ] as const)('%s when the update is applied, %s when it is undone', async ([atApply, atUndo]) => {
    const inForce = { on: '12 1', off: '12 14 1' };
    if (atApply === 'on') await turn('on');
    expect(await arrived()).toBe(ALL_ARRIVE);
    expect(await guestKsplice(vm, `apply ${UPDATE}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: ID, functions: [FUNCTION] }] },
    });
    expect(await arrived()).toBe(inForce[atApply]);
    await turn(atUndo);
    expect(await arrived()).toBe(inForce[atUndo]);
    await turn(atApply);
    expect(await arrived()).toBe(inForce[atApply]);
    await turn(atUndo);
    expect(await guestKsplice(vm, `undo ${ID}`)).toMatchObject({
      exitCode: 0,
      json: { updates: [{ id: ID, resident: false }] },
    });
    expect(await arrived()).toBe(ALL_ARRIVE);
    // The old code follows the key as if nothing had been.
    await turn(atApply);
    expect(await arrived()).toBe(ALL_ARRIVE);
    if (atApply === 'on') await turn('off');
    expect(await look(vm)).toEqual(untouched);
    await expectCleanLog();
  });
});
