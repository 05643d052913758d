/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A function that holds whoever calls it, in a way that the caller chooses, until it is
 * let go. held.c has the old one, held_update.c the new one; each has its own switch,
 * the module's parameter "go".
 */
#ifndef HOLD_H
#define HOLD_H

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/objtool.h>
#include <linux/wait.h>

enum hold_how {
	HOLD_NOT,
	/* In a callee that sleeps. */
	HOLD_ASLEEP,
	/* In the middle, and runnable. */
	HOLD_RUNNABLE,
	/* In a callee, and runnable. */
	HOLD_RUNNABLE_CALLEE,
	/* In the cold part. */
	HOLD_COLD,
	/* Below a frame that the ORC unwinder knows nothing of. */
	HOLD_UNRELIABLE,
};

static DECLARE_WAIT_QUEUE_HEAD(hold_queue);
static bool hold_go;

/* How many have come here since "go" was written. */
static int hold_inside;
module_param_named(inside, hold_inside, int, 0400);

static int hold_set_go(const char *value, const struct kernel_param *kp)
{
	int ret = param_set_bool(value, kp);

	hold_inside = 0;
	wake_up_all(&hold_queue);
	return ret;
}

static const struct kernel_param_ops hold_go_ops = { .set = hold_set_go, .get = param_get_bool };
module_param_cb(go, &hold_go_ops, &hold_go, 0600);
MODULE_PARM_DESC(go, "let everybody go");

/* Functions of tests have names of their own: kprobes and tracers ask for them by name. */
#define HOLD_FUNCTIONS(prefix, result)							\
noinline void prefix##_asleep(void)							\
{											\
	wait_event_interruptible(hold_queue, READ_ONCE(hold_go));			\
}											\
											\
noinline void prefix##_runnable(void)							\
{											\
	while (!READ_ONCE(hold_go))							\
		cpu_relax();								\
}											\
											\
noinline __cold void prefix##_in_cold(void)						\
{											\
	prefix##_asleep();								\
	barrier();									\
}											\
											\
noinline void prefix##_unreliable(void)							\
{											\
	prefix##_asleep();								\
	barrier();									\
}											\
STACK_FRAME_NON_STANDARD(prefix##_unreliable);						\
											\
noinline int prefix(int how)								\
{											\
	if (how != HOLD_NOT)								\
		hold_inside++;								\
	if (unlikely(how == HOLD_COLD)) {						\
		prefix##_in_cold();							\
		barrier();								\
		return result;								\
	}										\
	if (how == HOLD_RUNNABLE) {							\
		while (!READ_ONCE(hold_go))						\
			cpu_relax();							\
	} else if (how == HOLD_RUNNABLE_CALLEE) {					\
		prefix##_runnable();							\
	} else if (how == HOLD_ASLEEP) {						\
		prefix##_asleep();							\
	} else if (how == HOLD_UNRELIABLE) {						\
		prefix##_unreliable();							\
	}										\
	barrier();									\
	return result;									\
}

#endif
