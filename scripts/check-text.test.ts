import { expect, it } from 'vitest';
import { checkText } from './check-text.ts';

const messages = (path: string, text: string): readonly string[] =>
  checkText(path, text).map(({ line, message }) => `${line}: ${message}`);

it('takes kernel code in kernel style', () => {
  expect(messages('core/main.c', '// SPDX-License-Identifier: GPL-2.0\nint x;\n\treturn;\n')).toEqual([]);
});

it('says where kernel code departs from it', () => {
  const text = `int x;\n        return;\n\t${'x'.repeat(93)}\nint y; \n`;
  expect(messages('core/main.c', text)).toEqual([
    '1: no SPDX-License-Identifier: GPL-2.0',
    '2: indented by spaces',
    '3: 101 columns, at most 100',
    '4: space at the end of the line',
  ]);
});

it('wants a newline at the end of every text', () => {
  expect(messages('docs/glossary.md', '# Glossary')).toEqual(['1: no newline at the end']);
  expect(messages('docs/glossary.md', `# Glossary\n${'x'.repeat(200)}\n`)).toEqual([]);
});
