/** The folders of test/cases, on the kernel that most tests boot. test/long/cases-elsewhere.test.ts has other kernels. */
import { describe } from 'vitest';
import { describeCases } from '../support/case/describe-cases.ts';
import { TEST_RELEASE } from '../support/vm/test-kernel.ts';

describe('cases', () => {
  describeCases({ release: TEST_RELEASE });
});
