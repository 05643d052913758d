// SPDX-License-Identifier: GPL-2.0
/*
 * What tests of the safe point replace: functions that hold the threads that call
 * them. held_update.c has the other version of them.
 *
 *	echo asleep >/proc/held			holds the writer in held()
 *	echo 'thread asleep' >/proc/held	holds a kernel thread there
 *	echo 'deep asleep' >/proc/held		holds one there that is in two functions, and whose name is as long
 *						as can be
 *	echo before >/proc/held			holds it before it calls held()
 *	echo slot >/proc/held			with the address of a kprobe's slot on its stack
 *	echo restart >/proc/held		outside; a signal makes it come to held_restart()
 *	echo pretend >/proc/held		makes a thread that says that it runs; pretend-not ends it
 *	echo key >/proc/held			toggles the key of held_branch()
 *	echo call >/proc/held			turns what held_call() and held_tail() call
 *	cat /proc/held				which version answers, and what NMIs met
 *	echo 1 >/sys/module/held/parameters/go	lets everybody go
 *
 * A write that was held says in its result what held() returned: as many bytes as
 * were written if the old version did, one more for the new one.
 */
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include <asm/nmi.h>

#include "hold.h"

HOLD_FUNCTIONS(held, 0)

/* With threads that are here the core has more to tell than fits into a page. */
noinline int held_below_a_function_of_a_very_long_name(int how)
{
	int ret = held(how);

	barrier();
	return ret;
}

/* A place that a thread comes to after it was held outside of it. */
noinline long held_restart(struct restart_block *block)
{
	barrier();
	return 100;
}

/* Called by the handler of NMIs. */
noinline unsigned int held_nmi(void)
{
	barrier();
	return 0;
}

/* Four that have what the kernel rewrites where an update would put its jump. */
static DEFINE_STATIC_KEY_FALSE(held_key);

noinline int held_branch(void)
{
	if (static_branch_unlikely(&held_key))
		return 1;
	return 0;
}

static int held_number;

noinline void held_locked(void)
{
	asm volatile(LOCK_PREFIX "incl %0" : "+m" (held_number));
}

static int held_zero(void)
{
	return 0;
}

static int held_one(void)
{
	return 1;
}

DEFINE_STATIC_CALL(held_target, held_zero);

noinline int held_call(void)
{
	return static_call(held_target)() + 2;
}

/* As its last act: it is a jump there. */
noinline int held_tail(void)
{
	return static_call(held_target)();
}

static atomic_t nmis[2] = { ATOMIC_INIT(0), ATOMIC_INIT(0) };
static atomic_t breakpoints[2] = { ATOMIC_INIT(0), ATOMIC_INIT(0) };

static int count_nmi(unsigned int type, struct pt_regs *regs)
{
	/* Behind the entry of ftrace, where the jump is being written. */
	const u8 *site = (u8 *)held_nmi + 5;
	bool before = READ_ONCE(*site) == 0xcc;
	unsigned int version = held_nmi() & 1;

	atomic_inc(&nmis[version]);
	/* Before and after the call, so it met the breakpoint: there is no second switch before this CPU is back. */
	if (before && READ_ONCE(*site) == 0xcc)
		atomic_inc(&breakpoints[version]);
	return NMI_HANDLED;
}

static struct kprobe slot_probe = { .symbol_name = "held_restart", .offset = 5 };

static int nothing(struct kprobe *kp, struct pt_regs *regs)
{
	return 0;
}

/* As a thread that was preempted in the copy of a probed instruction: the address is on its stack. */
static noinline void hold_in_slot(void)
{
	void *volatile ip = slot_probe.ainsn.insn + 1;

	hold_inside++;
	held_unreliable();
	barrier();
	(void)ip;
}

static const char *const names[] = {
	[HOLD_NOT] = "not",
	[HOLD_ASLEEP] = "asleep",
	[HOLD_RUNNABLE] = "runnable",
	[HOLD_RUNNABLE_CALLEE] = "runnable-callee",
	[HOLD_COLD] = "cold",
	[HOLD_UNRELIABLE] = "unreliable",
};

static int thread(void *how)
{
	held((long)how);
	return 0;
}

static int deep_thread(void *how)
{
	held_below_a_function_of_a_very_long_name((long)how);
	return 0;
}

static int make_thread(int (*function)(void *), const char *comm, const char *how)
{
	int number = match_string(names, ARRAY_SIZE(names), how);

	if (number < 0)
		return number;
	return PTR_ERR_OR_ZERO(kthread_run(function, (void *)(long)number, "%s", comm));
}

/* Outside of held(), with its address in a register. */
static noinline int before(void)
{
	int (*volatile function)(int) = held;
	int (*next)(int) = function;

	hold_inside++;
	while (!READ_ONCE(hold_go))
		cpu_relax();
	return next(HOLD_NOT);
}

/* A lie: a thread that waits to be woken for the first time, and says that it runs. */
static struct task_struct *pretender;

static int pretend(bool running)
{
	if (!pretender) {
		struct task_struct *made = kthread_create(thread, (void *)HOLD_NOT, "pretender");

		if (IS_ERR(made))
			return PTR_ERR(made);
		pretender = made;
	}
	WRITE_ONCE(pretender->on_cpu, running);
	if (!running) {
		kthread_stop(pretender);
		pretender = NULL;
	}
	return 0;
}

static ssize_t held_write(struct file *file, const char __user *buffer, size_t size, loff_t *at)
{
	char word[32] = {};
	char *name;
	int how;

	if (size >= sizeof(word) || copy_from_user(word, buffer, size))
		return -EFAULT;
	name = strim(word);
	if (!strcmp(name, "before"))
		return size + before();
	if (!strcmp(name, "slot")) {
		hold_in_slot();
		return size;
	}
	if (!strcmp(name, "key")) {
		if (static_key_enabled(&held_key))
			static_branch_disable(&held_key);
		else
			static_branch_enable(&held_key);
		return size;
	}
	if (!strcmp(name, "call")) {
		static_call_update(held_target, held_tail() ? held_zero : held_one);
		return size;
	}
	if (!strcmp(name, "pretend") || !strcmp(name, "pretend-not"))
		return pretend(!name[7]) ?: size;
	if (!strcmp(name, "restart")) {
		hold_inside++;
		held_asleep();
		set_restart_fn(&current->restart_block, held_restart);
		return -ERESTART_RESTARTBLOCK;
	}
	if (!strncmp(name, "thread ", 7))
		return make_thread(thread, "holder", name + 7) ?: size;
	if (!strncmp(name, "deep ", 5))
		return make_thread(deep_thread, "holder_of_depth", name + 5) ?: size;
	how = match_string(names, ARRAY_SIZE(names), name);
	if (how < 0)
		return how;
	return size + held(how);
}

static int held_show(struct seq_file *file, void *unused)
{
	held_locked();
	seq_printf(file, "%s %s nmis %d %d breakpoints %d %d branch %d call %d %d lock %02x\n",
		   held(HOLD_NOT) ? "new" : "old", held_restart(NULL) > 100 ? "new" : "old",
		   atomic_read(&nmis[0]), atomic_read(&nmis[1]), atomic_read(&breakpoints[0]),
		   atomic_read(&breakpoints[1]), held_branch(), held_call(), held_tail(),
		   ((u8 *)held_locked)[5]);
	return 0;
}

static int held_open(struct inode *inode, struct file *file)
{
	return single_open(file, held_show, NULL);
}

static const struct proc_ops operations = {
	.proc_open	= held_open,
	.proc_read	= seq_read,
	.proc_lseek	= seq_lseek,
	.proc_release	= single_release,
	.proc_write	= held_write,
};

static int __init held_init(void)
{
	int ret;

	slot_probe.pre_handler = nothing;
	ret = register_kprobe(&slot_probe);
	if (ret)
		return ret;
	/* Its slot stays; it would be a foreign byte in what is replaced. */
	disable_kprobe(&slot_probe);
	ret = register_nmi_handler(NMI_LOCAL, count_nmi, 0, "held");
	if (ret)
		goto out_probe;
	if (proc_create("held", 0666, NULL, &operations))
		return 0;
	ret = -ENOMEM;
	unregister_nmi_handler(NMI_LOCAL, "held");
out_probe:
	unregister_kprobe(&slot_probe);
	return ret;
}

static void __exit held_exit(void)
{
	remove_proc_entry("held", NULL);
	unregister_nmi_handler(NMI_LOCAL, "held");
	unregister_kprobe(&slot_probe);
}

module_init(held_init);
module_exit(held_exit);
MODULE_DESCRIPTION("holds threads in functions that tests replace");
MODULE_LICENSE("GPL");
