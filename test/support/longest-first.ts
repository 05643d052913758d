import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** It takes as long as five others, and the file is small. */
const LONGEST = '/test/vm/cases.test.ts';

function isLongest({ moduleId }: TestSpecification): boolean {
  return moduleId.endsWith(LONGEST);
}

/**
 * Where no run before is known, the largest file comes first: then the file that takes longest is the last to begin, and has a
 * processor idle beside it.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))];
  }
}
