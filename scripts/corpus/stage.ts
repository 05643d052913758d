/**
 * What is done with one file of the corpus: a list of stages, each with a result of its own that is kept. A stage
 * runs if all before it said to go on. The summary and the table are made from what the stages say of themselves, so
 * that a new one is an entry in the list.
 */
import type { DebianKernel } from '../../src/debian/debian-sources.ts';
import type { FrozenTool } from './frozen-tool.ts';
import type { Member } from './members.ts';

/** What a stage may use. */
export interface StageContext {
  readonly member: Member;
  /** The kernel that the update is for. */
  readonly kernel: Pick<DebianKernel, 'release' | 'image' | 'modules'>;
  readonly tool: FrozenTool;
  /** What is kept of this file: its patch, its update, what each stage left. Absolute. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

/** One way in which a stage can end; `name` is what is recorded. */
export interface Outcome {
  readonly name: string;
  /** The row in the table. */
  readonly title: string;
  /** Whether the next stage has something to work with. */
  readonly goesOn: boolean;
  /** Whether it is an error of this project's, unless somebody finds out that it is the patch's. */
  readonly isBug: boolean;
  /** Whether the page says which files these are, and what was said of each. */
  readonly isNamed: boolean;
}

export interface StageResult {
  /** Name of an outcome of the stage. */
  readonly outcome: string;
  /** Why, each in words that are the same for the same cause; empty where there is nothing to say. */
  readonly causes: readonly string[];
  /** One line for the one who watches. */
  readonly text: string;
  /** Numbers to be counted together. */
  readonly numbers: Readonly<Record<string, number>>;
}

export interface Stage {
  readonly name: string;
  readonly outcomes: readonly Outcome[];
  /** A hash of what it works with besides patch, program and kernel. */
  readonly inputs?: (context: StageContext) => Promise<string>;
  readonly run: (context: StageContext) => Promise<StageResult>;
}

/** The result of a stage that has an outcome `internal_error`. */
export function internalError(message: string): StageResult {
  return { outcome: 'internal_error', causes: [message], text: message, numbers: {} };
}

export function outcomeOf(stage: Stage, name: string): Outcome {
  const found = stage.outcomes.find((outcome) => outcome.name === name);
  if (found === undefined) {
    throw new Error(`the stage ${stage.name} has no outcome ${name}`);
  }
  return found;
}
