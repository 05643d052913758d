// SPDX-License-Identifier: GPL-2.0
/*
 * What does stopping all CPUs cost when nothing is done while they are stopped?
 *
 * Reading /sys/kernel/debug/empty_stop stops the machine once and prints how many
 * nanoseconds the call took.  Absolute times of an emulated machine mean little;
 * the core's stop is told as a ratio to this one, taken in turn in one boot.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/stop_machine.h>
#include <linux/timekeeping.h>

static struct dentry *file;

static int do_nothing(void *data)
{
	return 0;
}

static ssize_t empty_stop_read(struct file *filp, char __user *to, size_t count, loff_t *pos)
{
	char text[32];
	u64 before;
	int length;

	if (*pos)
		return 0;
	before = ktime_get_ns();
	stop_machine(do_nothing, NULL, cpu_online_mask);
	length = scnprintf(text, sizeof(text), "%llu\n", ktime_get_ns() - before);
	return simple_read_from_buffer(to, count, pos, text, length);
}

static const struct file_operations empty_stop_fops = {
	.owner	= THIS_MODULE,
	.read	= empty_stop_read,
};

static int __init empty_stop_init(void)
{
	file = debugfs_create_file("empty_stop", 0400, NULL, NULL, &empty_stop_fops);
	return PTR_ERR_OR_ZERO(file);
}

static void __exit empty_stop_exit(void)
{
	debugfs_remove(file);
}

module_init(empty_stop_init);
module_exit(empty_stop_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Measures an empty stop_machine()");
