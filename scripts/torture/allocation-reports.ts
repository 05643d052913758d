/** A failed allocation is told with a stack (warn_alloc() in mm/page_alloc.c): three lines below the first one. */
const FIRST_LINE = /page allocation failure|vmalloc error|percpu: allocation failed/;
const LINES = 6;

/** The log without the lines that are there because allocations were made to fail; a warning between them stays. */
export function withoutAllocationReports(log: string): string {
  let left = 0;
  return log
    .split('\n')
    .filter((line) => {
      if (FIRST_LINE.test(line)) left = LINES;
      else if (/cut here/.test(line)) left = 0;
      else left -= 1;
      return left <= 0 || !/Call Trace:/.test(line);
    })
    .join('\n');
}
