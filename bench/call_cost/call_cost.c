// SPDX-License-Identifier: GPL-2.0
/*
 * What does a call of __task_pid_nr_ns() cost?
 *
 * Reading /sys/kernel/debug/call_cost calls it 10,000 times with interrupts off and
 * prints how many nanoseconds that took.  In a guest whose clock counts
 * instructions that is their number.
 */
#include <linux/debugfs.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>

#define CALLS	10000

static struct dentry *file;

static ssize_t call_cost_read(struct file *filp, char __user *to, size_t count, loff_t *pos)
{
	unsigned long flags;
	char text[32];
	u64 before;
	int i, length;

	if (*pos)
		return 0;
	local_irq_save(flags);
	before = ktime_get_ns();
	for (i = 0; i < CALLS; i++)
		__task_pid_nr_ns(current, PIDTYPE_PID, NULL);
	before = ktime_get_ns() - before;
	local_irq_restore(flags);
	length = scnprintf(text, sizeof(text), "%llu\n", before);
	return simple_read_from_buffer(to, count, pos, text, length);
}

static const struct file_operations call_cost_fops = {
	.owner	= THIS_MODULE,
	.read	= call_cost_read,
};

static int __init call_cost_init(void)
{
	file = debugfs_create_file("call_cost", 0400, NULL, NULL, &call_cost_fops);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit call_cost_exit(void)
{
	debugfs_remove(file);
}

module_init(call_cost_init);
module_exit(call_cost_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Measures a call of a function");
