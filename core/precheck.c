// SPDX-License-Identifier: GPL-2.0
/*
 * The pre-check: most threads sleep, and a thread that does not run keeps its
 * stack.  So they are looked at before the CPUs are stopped, and inside the stop
 * it is enough to see that they have not run since.
 *
 * How that is seen: __schedule() adds one to nvcsw or nivcsw of a task before it
 * switches away from it, and finish_task() clears on_cpu after it has (release).
 * For each task, in this order:
 *
 *	1. hold the task, and its stack
 *	2. c = nvcsw + nivcsw
 *	3. on_cpu == 0 (acquire), or leave the task to the stop
 *	4. look at every word of its stack
 *	5. if none is in the way, record (task, c)
 *
 * Inside the stop the record holds if on_cpu is 0 and the sum is still c.  Proof:
 * the task was off its CPU at 3.  Had it run between 3 and the stop, it would
 * have been switched away from again, since only stoppers run now; that adds one
 * after c was read.  So it has not run, and its stack is the one of 4.
 *
 * Step 4 scans and never unwinds.  A task may start to run while it is looked at:
 * a scan then reads nonsense, within the stack, and its record will not hold; but
 * the unwinder warns about a kretprobe's frame on a task that runs.  A scan
 * takes more words for return addresses than there are; such a task is not
 * recorded, and looked at properly inside the stop.
 *
 * The table is in the order of the kernel's list, and the stop goes through both
 * together: new tasks come at the end of the list, or of their process, and
 * those that have left it can be told by having no PID.  A task that is not where
 * it should be in the table costs time, since it and those behind it are looked at
 * inside the stop as if there were no pre-check; so are tasks that are created
 * later, that have run, that did not fit, and everybody if there is no memory for
 * the table.
 *
 * Locks: none but rcu_read_lock() while the list is walked.  Lifetime: the table
 * holds a reference to each task in it, so the address of a task that ends is
 * not another's as long as the table lives: one attempt.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>

#include "core.h"
#include "precheck.h"

/* References to at most @room tasks. */
static u32 ksplice_hold_tasks(struct ksplice_seen *seen, u32 room)
{
	struct task_struct *process, *task;
	u32 count = 0;

	rcu_read_lock();
	for_each_process_thread(process, task) {
		if (count == room)
			goto out;
		seen[count++].task = get_task_struct(task);
	}
out:
	rcu_read_unlock();
	return count;
}

static u32 ksplice_count_tasks(void)
{
	struct task_struct *process, *task;
	u32 count = 0;

	rcu_read_lock();
	for_each_process_thread(process, task)
		count++;
	rcu_read_unlock();
	return count;
}

static bool ksplice_sleeps_elsewhere(const struct ksplice_switch *sw, struct task_struct *task,
				     unsigned long *switches)
{
	bool clean;

	if (!try_get_task_stack(task))
		return false;
	*switches = ksplice_switches(task);
	/* The sum is read before on_cpu. */
	smp_rmb();
	/* Pairs with finish_task(): whoever sees 0 sees the stack as the task left it. */
	clean = !smp_load_acquire(&task->on_cpu) && ksplice_stack_is_clear(sw, task);
	put_task_stack(task);
	return clean;
}

/**
 * ksplice_precheck() - look at all threads that sleep
 * @sw: gets the table, which ksplice_precheck_done() takes away
 *
 * Context: process context, no locks held; may sleep.
 */
void ksplice_precheck(struct ksplice_switch *sw)
{
	u32 i, count;

	sw->nr_seen = 0;
	sw->next_seen = 0;
	/* Some more, for those that are created meanwhile. */
	count = ksplice_count_tasks();
	count += count / 8 + 32;
	sw->seen = kvcalloc(count, sizeof(*sw->seen), GFP_KERNEL | __GFP_NOWARN);
	if (!sw->seen)
		return;
	count = ksplice_hold_tasks(sw->seen, count);
	for (i = 0; i < count; i++) {
		struct ksplice_seen seen = sw->seen[i];

		if (ksplice_sleeps_elsewhere(sw, seen.task, &seen.switches))
			sw->seen[sw->nr_seen++] = seen;
		else
			put_task_struct(seen.task);
		cond_resched();
	}
}

/**
 * ksplice_precheck_done() - let the tasks go
 * @sw: an attempt has ended
 *
 * Context: process context, no locks held.
 */
void ksplice_precheck_done(struct ksplice_switch *sw)
{
	u32 i;

	for (i = 0; i < sw->nr_seen; i++)
		put_task_struct(sw->seen[i].task);
	kvfree(sw->seen);
	sw->seen = NULL;
	sw->nr_seen = 0;
}
