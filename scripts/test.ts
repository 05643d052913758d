/**
 * `npm test`: runs every stage, or those named, and ends with one line: `N passed, N failed`.
 *
 * Every test counts, and so does every stage. The exit status is 0 only if nothing failed and something ran.
 */
import { resolve } from 'node:path';
import { runStages } from './run-stages.ts';
import { STAGES } from './test-stages.ts';

const root = resolve(import.meta.dirname, '..');
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !STAGES.some((stage) => stage.name === name));
if (unknown.length > 0) {
  const names = STAGES.map(({ name }) => name).join(', ');
  process.stderr.write(`test: no stage ${unknown.join(', ')}; there are ${names}\n`);
  process.exit(64);
}
const stages = wanted.length === 0 ? STAGES : STAGES.filter(({ name }) => wanted.includes(name));
const results = await runStages(stages, root);
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
