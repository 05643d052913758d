/**
 * How long work tells what it is at. A `step` begins, and the one before it is done. A `part` says how far the step is:
 * in a log a line as good as another, on a terminal what stands behind the step. A `detail` is seen on a terminal only.
 */
export type OnProgress = (message: string, kind?: 'step' | 'part' | 'detail') => void;
