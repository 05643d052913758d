/**
 * What the tutorial and the operator's guide show is true: every command in them is run, one document behind the other, on
 * this machine and in one guest, and what it prints is what is shown.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../support/bundle.ts';
import { readDocument } from '../support/documents/read-document.ts';
import { complaint, DocumentMachines } from '../support/documents/run-document.ts';
import { CHECKOUT } from '../support/live/host-cli.ts';
import { testCacheDir, testImage } from '../support/vm/test-kernel.ts';
import { Vm } from '../support/vm/vm.ts';

let vm: Vm;
let machines: DocumentMachines;

beforeAll(async () => {
  const cacheDir = testCacheDir();
  vm = await Vm.boot({ image: await testImage(), cacheDir, bundle: await buildBundle(cacheDir) });
  machines = await DocumentMachines.make(join(cacheDir, 'test-documents'), vm);
});

afterAll(async () => {
  await vm[Symbol.asyncDispose]();
});

describe.sequential('what is shown is what happens', () => {
  it.for(['docs/tutorial.md', 'docs/operators.md'])('%s', async (file) => {
    const commands = readDocument(readFileSync(join(CHECKOUT, file), 'utf8'));
    expect(commands.length).toBeGreaterThan(5);
    for (const shown of commands) {
      const found = await machines.run(shown);
      expect(complaint(shown, found)).toBeUndefined();
    }
  });
});
