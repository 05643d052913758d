// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own livepatch of __task_pid_nr_ns(), with the same body and the
 * same instruction more as our update of it (bench/call-cost.ts).
 */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>

static pid_t patched_task_pid_nr_ns(struct task_struct *task, enum pid_type type,
				    struct pid_namespace *ns)
{
	pid_t nr = 0;

	asm volatile ("nop");
	rcu_read_lock();
	if (!ns)
		ns = task_active_pid_ns(current);
	nr = pid_nr_ns(type == PIDTYPE_PID ? rcu_dereference(task->thread_pid) :
		       rcu_dereference(task->signal->pids[type]), ns);
	rcu_read_unlock();

	return nr;
}

static struct klp_func functions[] = {
	{ .old_name = "__task_pid_nr_ns", .new_func = patched_task_pid_nr_ns },
	{ }
};

/* An object without a name is vmlinux. */
static struct klp_object objects[] = {
	{ .funcs = functions },
	{ }
};

static struct klp_patch patch = {
	.mod	= THIS_MODULE,
	.objs	= objects,
};

static int __init call_livepatch_init(void)
{
	return klp_enable_patch(&patch);
}

/* A livepatch is disabled first: nothing is left to do, but without this it stays. */
static void __exit call_livepatch_exit(void)
{
}

module_init(call_livepatch_init);
module_exit(call_livepatch_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A livepatch to measure the cost of a call with");
MODULE_INFO(livepatch, "Y");
