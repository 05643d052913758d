/** What the program in the guest and the one outside tell each other, as JSON. */
import * as v from 'valibot';
import { memoryUseSchema } from './memory-use.ts';

export const tortureRunSchema = v.object({
  /** Cycles begun. */
  cycles: v.number(),
  /** Of these, applied and undone, with the new code seen in between and the old code afterwards. */
  completed: v.number(),
  /** Of these, with the whole of apply and undo: core loaded, units matched, update linked. */
  whole: v.number(),
  /** Why the others were not applied: abort cause, and how many. */
  refused: v.record(v.string(), v.number()),
  /** What must not happen, in words; the run ended there. */
  failure: v.optional(v.string()),
  /** Changes of stage by how many attempts they took. */
  attempts: v.record(v.string(), v.number()),
  /** Of each change of stage, in milliseconds. */
  stoppedMs: v.array(v.number()),
  /** Of each cycle, in milliseconds. */
  cycleMs: v.array(v.number()),
  /** Most tasks looked at in a stop. */
  tasks: v.number(),
  /** Who was in the way, and how often: function names. */
  busyIn: v.record(v.string(), v.number()),
  before: v.array(memoryUseSchema),
  after: v.array(memoryUseSchema),
  /** Areas of vmalloc that belong to modules and to us. */
  areasBefore: v.number(),
  /** While an update was applied: more than before, or they cannot be seen. */
  areasApplied: v.number(),
  areasAfter: v.number(),
  seconds: v.number(),
});
export type TortureRun = v.InferOutput<typeof tortureRunSchema>;

export const tortureOrderSchema = v.object({
  update: v.string(),
  seed: v.number(),
  cycles: v.number(),
  minutes: v.number(),
  /** How often memory is looked at before the cycles, and after them; once a second. */
  samples: v.number(),
});
export type TortureOrder = v.InferOutput<typeof tortureOrderSchema>;
