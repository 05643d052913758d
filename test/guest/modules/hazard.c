// SPDX-License-Identifier: GPL-2.0
/*
 * What an update must not do, done: each of these harms the kernel that it is done to.
 *
 *	insmod hazard.ko			has a function with the name of one of the kernel's
 *	insmod hazard.ko mode=unwind pid=N	unwinds the stack of a task that may run
 *	insmod hazard.ko mode=overwrite		writes a jump over the place of a jump label, and
 *						turns the label's key
 *	insmod hazard.ko mode=overwrite-call	over a static call, and turns that
 *	insmod hazard.ko mode=overwrite-tail	over one that is a function's last act, and says
 *						what the function answers before and after
 *	insmod hazard.ko mode=reach function=N	knows a function by its address only
 */
#include <linux/jump_label.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/task.h>
#include <linux/static_call.h>
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

static int one(void)
{
	return 1;
}

static int two(void)
{
	return 2;
}

DEFINE_STATIC_CALL(target, one);

static noinline int call(void)
{
	return static_call(target)() + 10;
}

static noinline int tail_call(void)
{
	return static_call(target)();
}

/* What the jump leads to. */
static noinline int replacement(void)
{
	return 3;
}

/* As an update writes it, behind the entry of ftrace. */
static int write_jump(void *function)
{
	u8 *site = (u8 *)function + 5;
	u8 jump[5] = { 0xe9 };						/* jmp	replacement */
	s32 displacement = (u8 *)replacement - (site + sizeof(jump));
	struct page *page = vmalloc_to_page(site);
	u8 *alias;

	if (offset_in_page(site) + sizeof(jump) > PAGE_SIZE)
		return -ENOMEM;
	alias = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	if (!alias)
		return -ENOMEM;
	memcpy(jump + 1, &displacement, sizeof(displacement));
	memcpy(alias + offset_in_page(site), jump, sizeof(jump));
	vunmap(alias);
	return 0;
}

static int overwrite(void)
{
	int ret = write_jump(branch);

	/* The kernel finds foreign bytes, with its locks held. */
	if (!ret)
		static_branch_enable(&key);
	return ret;
}

static int overwrite_call(void)
{
	int ret = write_jump(call);

	/* Here, too. */
	if (!ret)
		static_call_update(target, two);
	return ret;
}

static int overwrite_tail(void)
{
	int before, ret = write_jump(tail_call);

	if (ret)
		return ret;
	before = tail_call();
	/* A jump is what the kernel expects there: it takes ours for its own. */
	static_call_update(target, two);
	pr_info("hazard: answered %d, then %d\n", before, tail_call());
	return 0;
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
	if (!strcmp(mode, "overwrite-call"))
		return overwrite_call();
	if (!strcmp(mode, "overwrite-tail"))
		return overwrite_tail();
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
