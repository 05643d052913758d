import { describe, expect, it } from 'vitest';
import { casesNotRun, countTests, type VitestReport } from './vitest-results.ts';

const file = (name: string, ...tests: readonly (readonly [string, string])[]) => ({
  name: `/root/${name}`,
  status: tests.some(([, status]) => status === 'failed') ? 'failed' : 'passed',
  assertionResults: tests.map(([title, status]) => ({
    ancestorTitles: ['outer'],
    title,
    status,
    failureMessages: status === 'failed' ? ['Error: 1 is not 2\n    at somewhere'] : [],
  })),
});

const report = (...testResults: VitestReport['testResults']): VitestReport => ({
  success: true,
  testResults,
});

describe('countTests', () => {
  it('counts what passed and what failed, and says with what', () => {
    const counts = countTests(
      report(file('a', ['x', 'passed'], ['y', 'failed']), file('b', ['z', 'passed'])),
      '/root',
    );
    expect(counts).toEqual({
      passed: 2,
      failed: 1,
      problems: ['a: "outer > y": Error: 1 is not 2\n        at somewhere'],
    });
  });

  it('counts what was skipped as failed, and says so', () => {
    const counts = countTests(report(file('a', ['x', 'passed'], ['y', 'skipped'], ['z', 'todo'])), '/root');
    expect(counts).toMatchObject({ passed: 1, failed: 2 });
    expect(counts.problems.join('\n')).toMatch(/a: "outer > y": is skipped.*\n.*"outer > z": is todo/);
  });

  it('counts a file that could not be loaded, or has no test, as one failure', () => {
    const broken = { name: '/root/b', status: 'failed', assertionResults: [] };
    expect(countTests(report(file('a', ['x', 'passed']), broken, file('c')), '/root')).toMatchObject({
      passed: 1,
      failed: 2,
    });
  });

  it('says when no test was run', () => {
    expect(countTests(report(), '/root').problems).toEqual(['no test was run']);
  });
});

describe('casesNotRun', () => {
  const ran = report(
    file('vm', ['one', 'passed'], ['two: undo', 'failed'], ['three', 'skipped'], ['four-more', 'passed']),
  );

  it('names the folders that no test stands for', () => {
    expect(casesNotRun(ran, ['one', 'two', 'outer'])).toEqual([]);
    expect(casesNotRun(ran, ['one', 'three', 'four', 'five'])).toEqual(['three', 'four', 'five']);
  });
});
