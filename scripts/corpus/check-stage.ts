/**
 * The second stage: `ksplice check` with the kernel as its package has it, image and modules. Nothing runs, and yet all
 * is found out that `apply` would find out before it changes anything.
 *
 * Left behind: `check.json`, the result or the error; `check.log`, what was printed meanwhile.
 */
import * as v from 'valibot';
import { formatSize } from '../../src/report/format.ts';
import { firstLine, lastLine, withoutNames } from './cause-text.ts';
import { readErrorJson } from './error-json.ts';
import { runTool } from './run-tool.ts';
import { internalError, type Stage, type StageResult } from './stage.ts';
import { readUpdateFacts, type UpdateFacts, updateFile, updateHash } from './update-of-member.ts';

export const checkStage: Stage = {
  name: 'check',
  outcomes: [
    { name: 'matches', title: 'matches', goesOn: true, isBug: false, isNamed: false },
    { name: 'needs_livepatch', title: 'needs livepatch', goesOn: false, isBug: false, isNamed: true },
    // It was made from the very source of this kernel.
    { name: 'no_match', title: 'does not match', goesOn: false, isBug: true, isNamed: true },
    { name: 'refused', title: 'refused otherwise', goesOn: false, isBug: false, isNamed: true },
    { name: 'internal_error', title: 'internal errors', goesOn: false, isBug: true, isNamed: true },
  ],
  inputs: updateHash,
  run: async (context) => {
    const { image, modules } = context.kernel;
    const argv = ['check', updateFile(context), '--json', `--image=${image}`, `--modules=${modules}`];
    const end = await runTool(context, 'check', argv);
    return typeof end === 'string' ? internalError(end) : judgeCheck(end, readUpdateFacts(context));
  },
};

const resultSchema = v.object({
  mode: v.string(),
  units: v.array(v.object({ matches: v.boolean(), compared: v.number() })),
});

const inTheWay = {
  'jump-label': 'a jump label',
  'static-call': 'a static call',
  'no-room': 'the end of the function',
} as const;

export interface ToolEnd {
  readonly exitCode: number;
  /** The result, or the error object. */
  readonly stdout: string;
  /** What was printed until then. */
  readonly stderr: string;
}

export function judgeCheck(end: ToolEnd, facts: Pick<UpdateFacts, 'needLivepatch' | 'names'>): StageResult {
  if (end.exitCode === 0) return matches(end);
  const error = readErrorJson(end.stdout);
  if (error === undefined) {
    return internalError(`exit status ${end.exitCode} without an error object: ${lastLine(end.stderr)}`);
  }
  const text = firstLine(error.message);
  const cause = `${error.code}: ${withoutNames(error.message, facts.names)}`;
  switch (end.exitCode) {
    case 2: {
      const name = /^(\S+): no room for a jump/.exec(error.message)?.[1] ?? '';
      const kind = facts.needLivepatch.get(name);
      return kind === undefined
        ? { outcome: 'refused', causes: [cause], text, numbers: {} }
        : {
            outcome: 'needs_livepatch',
            causes: [`${inTheWay[kind]} where the jump would go`],
            text: `${inTheWay[kind]} at the start of ${name}`,
            numbers: {},
          };
    }
    case 4:
      return { outcome: 'no_match', causes: [cause], text, numbers: {} };
    case 65:
    case 69:
      return { outcome: 'refused', causes: [cause], text, numbers: {} };
    default:
      return internalError(firstLine(error.message));
  }
}

function matches({ stdout }: ToolEnd): StageResult {
  let output: unknown;
  try {
    output = JSON.parse(stdout);
  } catch {
    return internalError(`exit status 0, and no JSON: ${firstLine(stdout)}`);
  }
  const parsed = v.safeParse(resultSchema, output);
  if (!parsed.success || parsed.output.units.some((unit) => !unit.matches)) {
    return internalError(`exit status 0, and no result: ${firstLine(stdout)}`);
  }
  const compared = parsed.output.units.reduce((sum, unit) => sum + unit.compared, 0);
  return { outcome: 'matches', causes: [], text: `${formatSize(compared)} compared`, numbers: { compared } };
}
