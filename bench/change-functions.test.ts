import { describe, expect, it } from 'vitest';
import { functionBodies, insertAt } from './change-functions.ts';

const SOURCE = `#include <linux/x.h>

static int x_open(struct x *x,
		  int flags)
{
	if (!x)
		return -EINVAL;
	return 0;
}

int __init x_init(void)
{
	return 0;
}

static inline int x_small(void)
{
	return 1;
}

struct y *x_last(void)
{
	a();
	b();
	c();
}
`.split('\n');

describe('functions to change', () => {
  it('are those that run after boot and are no inline functions', () => {
    expect(functionBodies(SOURCE, new Set()).map(({ name }) => name)).toEqual(['x_open', 'x_last']);
    expect(functionBodies(SOURCE, new Set(['x_open'])).map(({ name }) => name)).toEqual(['x_last']);
  });

  it('get an instruction each, in a patch whose lines count on', () => {
    expect(insertAt('x.c', SOURCE, functionBodies(SOURCE, new Set()))).toEqual({
      file: 'x.c',
      functions: ['x_open', 'x_last'],
      patch: `--- a/x.c
+++ b/x.c
@@ -3,6 +3,7 @@
 static int x_open(struct x *x,
 		  int flags)
 {
+	asm volatile ("nop");
 	if (!x)
 		return -EINVAL;
 	return 0;
@@ -20,6 +21,7 @@
 
 struct y *x_last(void)
 {
+	asm volatile ("nop");
 	a();
 	b();
 	c();
`,
    });
  });

  it('leave out a hunk that would overlap the one before it', () => {
    const close = 'int a(void)\n{\n\tb();\n}\nint c(void)\n{\n\td();\n}\n\n\n'.split('\n');
    expect(insertAt('x.c', ['', ...close], functionBodies(['', ...close], new Set())).functions).toEqual([
      'a',
    ]);
  });
});
