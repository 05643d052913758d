// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a function of the kernel return at once, or holds who calls it: what otherwise
 * takes bad luck.
 *
 *	insmod divert.ko function=vmap caller=ksplice result=0
 *	insmod divert.ko function=proc_exit_connector task=mortal hold=1
 *
 * "caller" is the module that calls, "task" the name of the task; each left out means any.
 * "after" calls are let through before. "count" tells how many were diverted, and
 * "go" lets them go that are held.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/sched.h>

#include "hold.h"

static char *function;
module_param(function, charp, 0400);
static char *caller;
module_param(caller, charp, 0400);
static char *task;
module_param(task, charp, 0400);
static long result;
module_param(result, long, 0600);
static bool hold;
module_param(hold, bool, 0600);
static int after;
module_param(after, int, 0600);
static int count;
module_param(count, int, 0400);

/* Runs in place of the function, and returns to who called it. */
static noinline long diverted(void)
{
	if (hold)
		wait_event(hold_queue, READ_ONCE(hold_go));
	return result;
}

static bool called_from(unsigned long addr, const char *module)
{
	char symbol[KSYM_SYMBOL_LEN], *begin;

	sprint_symbol(symbol, addr);
	begin = strrchr(symbol, '[');
	return begin && !strncmp(begin + 1, module, strlen(module)) &&
	       begin[1 + strlen(module)] == ']';
}

static int divert(struct kprobe *probe, struct pt_regs *regs)
{
	if (task && strcmp(task, current->comm))
		return 0;
	if (caller && !called_from(*(unsigned long *)regs->sp, caller))
		return 0;
	if (after) {
		after--;
		return 0;
	}
	count++;
	regs->ip = (unsigned long)diverted;
	return 1;
}

/* One that is there keeps the probe from being made a jump, which could not divert. */
static void ignore(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = { .pre_handler = divert, .post_handler = ignore };

static int __init divert_init(void)
{
	if (!function)
		return -EINVAL;
	probe.symbol_name = function;
	return register_kprobe(&probe);
}

static void __exit divert_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(divert_init);
module_exit(divert_exit);
MODULE_DESCRIPTION("makes a function return at once, or sleep");
MODULE_LICENSE("GPL");
