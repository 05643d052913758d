import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

/**
 * Kinds of tests, by what they need: nothing (unit), a compiler and binutils (object), QEMU and Debian's
 * kernels (vm), more time than `npm test` has (long), and a
 * kernel of our own that carries the core (integrated, npm run integrated). A guest under emulation is
 * busy with one core most of the time, so two files of VM tests run beside each other.
 */
export default defineConfig({
  test: {
    passWithNoTests: false,
    allowOnly: false,
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src', 'scripts', 'bench', 'test/support'].map((folder) => `${folder}/**/*.test.ts`),
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'object',
          include: ['test/object/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['test/vm/**/*.test.ts'],
          maxWorkers: 2,
          testTimeout: 300_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: 'long',
          include: ['test/long/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 3_600_000,
          hookTimeout: 900_000,
        },
      },
      {
        test: {
          name: 'integrated',
          include: ['test/integrated/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
