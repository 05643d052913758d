/** A failed allocation is told with a line on the taint, and a stack (warn_alloc() in mm/page_alloc.c): at most three lines below the first one. */
const FIRST_LINE = /page allocation failure|vmalloc error|percpu: allocation failed/;
const LINES = 6;
const OF_REPORT = /Call Trace:|CPU: \d+ PID: \d+ .*[Tt]ainted/;

/**
 * The loader's own warnings when there is no memory to tell a static key of a module that is coming, and when it takes back what
 * it had told other keys (jump_label_add_module() and jump_label_del_module() in kernel/jump_label.c): the load fails with ENOMEM.
 */
export const LOADER_WITHOUT_MEMORY = /WARNING: .* jump_label_(?:module_notify|del_module)\+/;

/** The log without the lines that are there because allocations were made to fail; a warning between them stays. */
export function withoutAllocationReports(log: string): string {
  let left = 0;
  return log
    .split('\n')
    .filter((line) => {
      if (FIRST_LINE.test(line)) left = LINES;
      else if (/cut here/.test(line)) left = 0;
      else left -= 1;
      return left <= 0 || !OF_REPORT.test(line);
    })
    .join('\n');
}
