import { describe, expect, it } from 'vitest';
import { patchOf } from './change-units.ts';

const FUNCTION = `#include <linux/x.h>

int x_open(struct x *x)
{
	if (!x)
		return -EINVAL;

	return 0;
}
EXPORT_SYMBOL_GPL(x_open);
`;

describe('the patch of a unit', () => {
  it('changes one line of an exported function', () => {
    expect(patchOf('a/x.c', FUNCTION)).toBe(`--- a/a/x.c
+++ b/a/x.c
@@ -3,7 +3,7 @@
 int x_open(struct x *x)
 {
 	if (!x)
-		return -EINVAL;
+		return -EPERM;
 
 	return 0;
 }
`);
  });

  it('leaves alone what is not exported, ran at boot, or is called in the same file', () => {
    expect(patchOf('x.c', FUNCTION.replace('EXPORT_SYMBOL_GPL(x_open);\n', ''))).toBeUndefined();
    expect(patchOf('x.c', FUNCTION.replace('int x_open', 'int __init x_open'))).toBeUndefined();
    expect(patchOf('x.c', `${FUNCTION}\nint y(void)\n{\n\treturn x_open(NULL);\n}\n`)).toBeUndefined();
  });

  it('takes no context from behind the end of the file', () => {
    const short = FUNCTION.slice(0, FUNCTION.indexOf('\n\treturn 0'));
    expect(patchOf('x.c', `EXPORT_SYMBOL(x_open);\n${short}}\n/* end */\n`)).toBeUndefined();
  });
});
