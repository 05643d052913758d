// SPDX-License-Identifier: GPL-2.0
/*
 * A livepatch of one built-in function, any one: counts its calls, and goes on to
 * the code that was there.
 *
 *	insmod counted.ko function=ip_options_undo
 *
 * The count is the parameter "calls" in sysfs.  What a kernel does for a livepatch
 * (the entry that goes to a trampoline, the redirection in it, the transition of
 * every task) does not depend on what the new code does, so one that serves each
 * function is enough.
 *
 * The original is called behind its ftrace entry, which is where the redirection
 * is.  It may have up to six arguments, in registers: more would be lost.
 */
#include <linux/atomic.h>
#include <linux/ftrace.h>
#include <linux/livepatch.h>
#include <linux/module.h>

typedef unsigned long any_function(unsigned long a, unsigned long b, unsigned long c,
				   unsigned long d, unsigned long e, unsigned long f);

static char *function;
module_param(function, charp, 0444);
MODULE_PARM_DESC(function, "the function to replace");

static atomic_t calls = ATOMIC_INIT(0);

static int calls_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&calls));
}

static const struct kernel_param_ops calls_ops = { .get = calls_get };
module_param_cb(calls, &calls_ops, NULL, 0444);
MODULE_PARM_DESC(calls, "how often it has been called");

static unsigned long count_and_go_on(unsigned long a, unsigned long b, unsigned long c,
				     unsigned long d, unsigned long e, unsigned long f);

static struct klp_func functions[] = {
	{ .new_func = count_and_go_on },
	{ }
};

/* An object without a name is vmlinux. */
static struct klp_object objects[] = {
	{ .funcs = functions },
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objects,
};

static unsigned long count_and_go_on(unsigned long a, unsigned long b, unsigned long c,
				     unsigned long d, unsigned long e, unsigned long f)
{
	any_function *original = functions[0].old_func + MCOUNT_INSN_SIZE;

	atomic_inc(&calls);
	return original(a, b, c, d, e, f);
}

static int __init counted_init(void)
{
	if (!function)
		return -EINVAL;
	functions[0].old_name = function;
	return klp_enable_patch(&patch);
}

/* A livepatch is taken away by its switch in sysfs; the module may go only after that. */
static void __exit counted_exit(void)
{
}

module_init(counted_init);
module_exit(counted_exit);
MODULE_DESCRIPTION("counts the calls of a function by a livepatch");
MODULE_INFO(livepatch, "Y");
MODULE_LICENSE("GPL");
