/** Whether output is what a case expects; the messages show both. */
import type { Expectation } from './test-case.ts';

function isMet(expectation: Expectation, output: string): boolean {
  return expectation.kind === 'line'
    ? output.split('\n').includes(expectation.text)
    : expectation.pattern.test(output);
}

function describe(expectation: Expectation): string {
  return expectation.kind === 'line' ? `the line ${expectation.text}` : String(expectation.pattern);
}

/** The expectations that `output` does not meet, in words; empty if it meets all. */
export function unmet(expectations: readonly Expectation[], output: string): readonly string[] {
  return expectations.filter((each) => !isMet(each, output)).map(describe);
}
