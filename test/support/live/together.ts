/**
 * Two updates of two system calls, `left` of getpgid() and `right` of getsid(): both then know a process 4242. Their hooks
 * note when they were called, and can be told to refuse by a sysctl.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTwoFilesPatch } from 'diff';
import { debianSources } from '../../../src/debian/debian-sources.ts';
import { TEST_RELEASE, testCacheDir } from '../vm/test-kernel.ts';

const SOURCE = 'kernel/sys.c';
export type Side = 'left' | 'right';

/** What stands in the source, and what the update makes of it. */
const CHANGES: Readonly<Record<Side, readonly [string, string]>> = {
  left: ['\treturn do_getpgid(pid);\n', '\treturn pid == 4242 ? 1 : do_getpgid(pid);\n'],
  right: [
    '\trcu_read_lock();\n\tif (!pid)\n\t\tsid = task_session(current);\n',
    '\tif (pid == 4242)\n\t\treturn 1;\n\trcu_read_lock();\n\tif (!pid)\n\t\tsid = task_session(current);\n',
  ],
};

/** Values of kernel.panic at which a hook refuses. */
export const REFUSE_AT = { 'left pre': 31, 'right pre': 32, 'left check': 33, 'right check': 34 } as const;

function hooksOf(side: Side): string {
  return `
#include <linux/panic.h>
#include <linux/timekeeping.h>
#include <ksplice-patch.h>

static u64 ${side}_times[5];

static int ${side}_note(int moment, int refuse_at)
{
	${side}_times[moment] = ktime_get_mono_fast_ns();
	return panic_timeout == refuse_at ? -EBUSY : 0;
}

static int ${side}_pre(void)
{
	memset(${side}_times, 0, sizeof(${side}_times));
	return ${side}_note(0, ${REFUSE_AT[`${side} pre`]});
}
ksplice_pre_apply(${side}_pre);
ksplice_pre_reverse(${side}_pre);

static int ${side}_check(void)
{
	return ${side}_note(1, ${REFUSE_AT[`${side} check`]});
}
ksplice_check_apply(${side}_check);
ksplice_check_reverse(${side}_check);

static void ${side}_switched(void)
{
	${side}_note(2, 0);
}
ksplice_apply(${side}_switched);
ksplice_reverse(${side}_switched);

static void ${side}_tell(int moment)
{
	${side}_note(moment, 0);
	pr_info("together: ${side} pre %llu check %llu switched %llu post %llu fail %llu\\n", ${side}_times[0],
		${side}_times[1], ${side}_times[2], ${side}_times[3], ${side}_times[4]);
}

static void ${side}_post(void)
{
	${side}_tell(3);
}
ksplice_post_apply(${side}_post);
ksplice_post_reverse(${side}_post);

static void ${side}_fail(void)
{
	${side}_tell(4);
}
ksplice_fail_apply(${side}_fail);
ksplice_fail_reverse(${side}_fail);
`;
}

/** The patch that `ksplice create` makes the update from. */
export async function togetherPatch(side: Side): Promise<string> {
  const { source } = await debianSources(TEST_RELEASE, { cacheDir: testCacheDir() });
  const before = await readFile(join(source, SOURCE), 'utf8');
  const [old, changed] = CHANGES[side];
  if (before.split(old).length !== 2) throw new Error(`${SOURCE}: not one place for ${side}`);
  const after = `${before.replace(old, changed)}${hooksOf(side)}`;
  return createTwoFilesPatch(`a/${SOURCE}`, `b/${SOURCE}`, before, after);
}

/** What the hooks have told, `left pre`, in the order in which they were called. `log`: of the kernel, since it was cleared. */
export function hooksCalled(log: string): readonly string[] {
  const calls = [...log.matchAll(/together: (\w+) (pre \d+ .*)/g)].flatMap(([, side = '', text = '']) =>
    [...text.matchAll(/(\w+) (\d+)/g)].map(([, moment = '', time = '0']) => ({
      what: `${side} ${moment}`,
      time: BigInt(time),
    })),
  );
  return calls
    .filter(({ time }) => time > 0n)
    .toSorted((a, b) => (a.time < b.time ? -1 : 1))
    .map(({ what }) => what);
}
