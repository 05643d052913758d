// SPDX-License-Identifier: GPL-2.0
/*
 * What an update must not do, done: each of these harms the kernel that it is done to.
 *
 *	insmod hazard.ko			has a function with the name of one of the kernel's
 *	insmod hazard.ko mode=unwind pid=N	unwinds the stack of a task that may run
 *	insmod hazard.ko mode=overwrite		writes a jump over the place of a jump label, and
 *						turns the label's key
 *	insmod hazard.ko mode=reach function=N	knows a function by its address only
 */
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/vmalloc.h>
#include <asm/unwind.h>

static char *mode = "name";
module_param(mode, charp, 0400);
static int pid;
module_param(pid, int, 0400);
static char *function;
module_param(function, charp, 0400);

/* Not the kernel's. */
noinline int ip_options_get(int value)
{
	barrier();
	return value;
}

static DEFINE_STATIC_KEY_FALSE(key);

static noinline int branch(void)
{
	if (static_branch_unlikely(&key))
		return 1;
	return 0;
}

static int overwrite(void)
{
	static const u8 jump[] = { 0xe9, 0, 0, 0, 0 };			/* jmp	.+5 */
	u8 *site = (u8 *)branch + 5;
	struct page *page = vmalloc_to_page(site);
	u8 *alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	if (!alias || offset_in_page(site) + sizeof(jump) > PAGE_SIZE)
		return -ENOMEM;
	memcpy(alias + offset_in_page(site), jump, sizeof(jump));
	vunmap(alias);
	/* The kernel finds foreign bytes, with its locks held. */
	static_branch_enable(&key);
	return branch();
}

static int unwind(void)
{
	struct pid *number = find_get_pid(pid);
	struct task_struct *task = get_pid_task(number, PIDTYPE_PID);
	struct unwind_state state;

	put_pid(number);
	if (!task)
		return -ESRCH;
	for (unwind_start(&state, task, NULL, NULL); !unwind_done(&state); unwind_next_frame(&state))
		;
	put_task_struct(task);
	return 0;
}

/* As an absolute symbol would be: no reference to the module that has it. */
static unsigned long reached;

static int reach(void)
{
	struct kprobe probe = { .symbol_name = function, .flags = KPROBE_FLAG_DISABLED };
	int ret = register_kprobe(&probe);

	if (ret)
		return ret;
	reached = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

static int __init hazard_init(void)
{
	if (ip_options_get(1) != 1)
		return -EINVAL;
	if (!strcmp(mode, "unwind"))
		return unwind();
	if (!strcmp(mode, "overwrite"))
		return overwrite();
	if (!strcmp(mode, "reach"))
		return reach();
	return 0;
}

static void __exit hazard_exit(void)
{
}

module_init(hazard_init);
module_exit(hazard_exit);
MODULE_DESCRIPTION("does what an update must not do");
MODULE_LICENSE("GPL");
