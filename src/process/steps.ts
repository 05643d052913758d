/**
 * Long steps that leave a stamp, so that a run which was killed goes on where it was.
 *
 * A step NAME in DIR makes DIR/NAME, a file or a directory, and is complete when DIR/NAME.complete exists.
 * The stamp is the commit: it is written last and appears whole, so output without a stamp is what a killed
 * run left, and is removed before the step runs again. Inputs are not looked at: DIR must be named for
 * everything that the result depends on. Two processes must not run the same step at once; a caller who shares
 * DIR takes a lock (file-lock.ts).
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

export type StepOutcome = 'ran' | 'skipped';

/** `make` gets the path DIR/NAME, where nothing is yet. If it throws, the step stays incomplete. */
export async function runStep(
  dir: string,
  name: string,
  make: (output: string) => Promise<void>,
): Promise<StepOutcome> {
  const output = path.join(dir, name);
  const stamp = stampOf(dir, name);
  if (await isStepComplete(dir, name)) {
    return 'skipped';
  }
  await mkdir(dir, { recursive: true });
  await rm(stamp, { force: true });
  await rm(output, { recursive: true, force: true });
  await make(output);
  const partial = `${stamp}.partial`;
  await writeFile(partial, existsSync(output) ? HAS_OUTPUT : NO_OUTPUT);
  await rename(partial, stamp);
  return 'ran';
}

/** Whether the stamp is there and so is the output that the step made (somebody may have removed it by hand). */
export async function isStepComplete(dir: string, name: string): Promise<boolean> {
  const stamp = stampOf(dir, name);
  if (!existsSync(stamp)) {
    return false;
  }
  const text = await readFile(stamp, 'utf8');
  return text === NO_OUTPUT || existsSync(path.join(dir, name));
}

const HAS_OUTPUT = 'complete\n';
const NO_OUTPUT = 'complete, no output\n';

function stampOf(dir: string, name: string): string {
  return path.join(dir, `${name}.complete`);
}
