/** The folders of test/cases on other kernels of Debian: the next version, and the flavour that is not for clouds. */
import { describe } from 'vitest';
import { type CasesKernel, describeCases } from '../support/case/describe-cases.ts';

const KERNELS: readonly CasesKernel[] = [
  // It has the fix of ip-options already, and other code where shadow-field changes something.
  { release: '6.1.0-50-cloud-amd64', notFor: ['ip-options', 'shadow-field'] },
  { release: '6.1.0-47-amd64' },
];

describe.each(KERNELS)('cases on $release', (kernel) => {
  describeCases(kernel);
});
