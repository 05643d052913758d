/**
 * create in a process of its own, for tests that need another user or a process to kill: the options as JSON in the one
 * argument; prints each step, at last the SHA-256 of the update.
 */
import { createUpdate } from '../../src/cli/create-pipeline.ts';
import { sha256 } from '../../src/update/sha256.ts';
import { writeUpdate } from '../../src/update/write-update.ts';

const { contents } = await createUpdate({
  ...JSON.parse(process.argv[2] ?? '{}'),
  signal: new AbortController().signal,
  onProgress: (step) => {
    console.log(step);
  },
});
console.log(sha256(await writeUpdate(contents)));
