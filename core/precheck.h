/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KSPLICE_PRECHECK_H
#define KSPLICE_PRECHECK_H

#include <linux/compiler.h>
#include <linux/sched.h>

#include "core.h"

/**
 * struct ksplice_seen - a task that sleeps, and is not in the way
 * @task:	held
 * @switches:	nvcsw + nivcsw, read before the stack was looked at
 */
struct ksplice_seen {
	struct task_struct	*task;
	unsigned long		switches;
};

static inline unsigned long ksplice_switches(struct task_struct *task)
{
	return READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw);
}

/**
 * ksplice_prechecked() - was the next task of the list out of the way, and has not run since?
 * @sw:		with the table, or without; is kept in step with the list
 * @task:	called for each of the list, in its order
 *
 * Here, since it is asked of every task while all CPUs wait: a call would take as
 * long as the answer.
 *
 * Context: inside the stop.
 *
 * Return: true if it has been, unless it is on a CPU now, which the caller sees.
 */
static inline bool ksplice_prechecked(struct ksplice_switch *sw, struct task_struct *task)
{
	while (sw->next_seen < sw->nr_seen) {
		const struct ksplice_seen *seen = &sw->seen[sw->next_seen];

		if (seen->task == task) {
			sw->next_seen++;
			return seen->switches == ksplice_switches(task);
		}
		/* It is still to come: @task is not in the table. */
		if (pid_alive(seen->task))
			return false;
		sw->next_seen++;
	}
	return false;
}

#endif /* KSPLICE_PRECHECK_H */
