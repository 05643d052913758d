/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSPLICE_GRACE_H
#define KSPLICE_GRACE_H

#include <linux/completion.h>
#include <linux/container_of.h>
#include <linux/rcupdate.h>

/**
 * struct ksplice_grace - somebody waits for a grace period of RCU's for tasks
 * @rcu:	queued until it is over
 * @over:	then complete
 */
struct ksplice_grace {
	struct rcu_head		rcu;
	struct completion	over;
};

static void ksplice_grace_over(struct rcu_head *rcu)
{
	complete(&container_of(rcu, struct ksplice_grace, rcu)->over);
}

/**
 * ksplice_wait_for_tasks() - wait until no task is about to enter code that is switched off
 *
 * For those who are about to follow a pointer that they had read before: ftrace's and
 * BPF's trampolines.  Every task has to give up its CPU by itself, or to be in user
 * space, so under heavy load this can take minutes.  synchronize_rcu_tasks() would sleep
 * through them, which khungtaskd reports, and with hung_task_panic=1 takes the machine
 * down for.  So it is waited for in pieces.
 *
 * Context: a process; may sleep.  The caller calls rcu_barrier_tasks() afterwards, since
 * the callback is code of its module and has to return, too; with what was queued before
 * done, that is short.
 */
static void ksplice_wait_for_tasks(void)
{
	struct ksplice_grace grace;

	init_rcu_head_on_stack(&grace.rcu);
	init_completion(&grace.over);
	call_rcu_tasks(&grace.rcu, ksplice_grace_over);
	while (!wait_for_completion_timeout(&grace.over, 10 * HZ))
		;
	destroy_rcu_head_on_stack(&grace.rcu);
}

#endif /* KSPLICE_GRACE_H */
