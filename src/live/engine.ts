/** What switches the kernel over: our own core, by jumps written in one stop; or the kernel's livepatch, task by task. */
export const ENGINES = ['jump', 'livepatch'] as const;
export type Engine = (typeof ENGINES)[number];
