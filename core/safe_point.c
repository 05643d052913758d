// SPDX-License-Identifier: GPL-2.0
/*
 * The safe point: no thread may be in code that is switched.
 *
 * Everything here runs inside the stop, with interrupts off on all CPUs, and
 * neither allocates, nor locks, nor prints.  No interrupt or soft interrupt
 * context is alive: the stopper was scheduled in.  So only task stacks hold
 * return addresses that matter.
 *
 * Who is looked at: every listed thread that was not seen out of the way before
 * and has not run since (precheck.c), the idle task of each online CPU, each
 * CPU's stopper (by itself, since thread.sp of a running task is stale), and
 * exiting tasks that have left the list but still run: those cannot be found,
 * but they can be counted (tasks_rcu_exit_srcu, or by a kernel made for it).
 *
 * What counts as being in a function: a return address in (start, end].  A word
 * that equals the start is a function pointer.  An interrupted task whose ip is
 * the start has not executed any of it.
 *
 * Where ORC says that its unwind is reliable the return addresses are exact.
 * Elsewhere every aligned word of the live stack is taken for one: that finds
 * too much, never too little, except where a tracer has replaced the return
 * address of the callee by its own.  Those addresses are in the task's
 * ret_stack (function graph) and rethooks (kretprobes), and always looked at.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/rethook.h>
#include <linux/sched/idle.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <asm/unwind.h>

#include "core.h"
#include "precheck.h"

static void ksplice_conflict(struct ksplice_switch *sw, struct task_struct *task,
			     const char *name, unsigned long addr)
{
	struct ksplice_conflict *conflict;
	u32 i;

	if (sw->cause == KSPLICE_OK)
		sw->cause = KSPLICE_CODE_BUSY;
	for (i = 0; i < sw->nr_conflicts; i++) {
		conflict = &sw->conflicts[i];
		if (conflict->task == task && conflict->name == name)
			return;
	}
	if (sw->nr_conflicts == KSPLICE_CONFLICTS_MAX) {
		sw->conflicts_lost = true;
		return;
	}
	conflict = &sw->conflicts[sw->nr_conflicts++];
	conflict->task = task;
	conflict->pid = task ? task->pid : 0;
	conflict->name = name;
	conflict->addr = addr;
	for (i = 0; i < TASK_COMM_LEN - 1; i++)
		conflict->comm[i] = task ? READ_ONCE(task->comm[i]) : "exiting"[min(i, 7U)];
	conflict->comm[i] = 0;
}

/* Binary search for the last range that starts at or below @addr; ranges do not
 * overlap (validate.c).  Most words lie outside of all of them.
 */
static const struct ksplice_busy *ksplice_find_busy(const struct ksplice_switch *sw,
						    unsigned long addr)
{
	u32 low = 0, high = sw->nr_busy;

	if (!high || addr < sw->busy[0].start || addr > sw->busy[high - 1].end)
		return NULL;
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (sw->busy[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return addr <= sw->busy[low - 1].end ? &sw->busy[low - 1] : NULL;
}

static void ksplice_check_address(struct ksplice_switch *sw, struct task_struct *task,
				  unsigned long addr)
{
	const struct ksplice_busy *busy;

	if (sw->keeping) {
		ksplice_stack_word(sw, addr);
		return;
	}
	busy = ksplice_find_busy(sw, addr);
	if (busy)
		ksplice_conflict(sw, task, busy->name, addr);
}

static void ksplice_check_tracers(struct ksplice_switch *sw, struct task_struct *task)
{
#ifdef CONFIG_RETHOOK
	struct llist_node *node;

	for (node = READ_ONCE(task->rethooks.first); node; node = READ_ONCE(node->next))
		ksplice_check_address(sw, task,
				      container_of(node, struct rethook_node, llist)->ret_addr);
#endif
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	struct ftrace_ret_stack *frame = NULL;
	int i = 0;

	/* The tracer's stack has had several forms; this function reads all of them. */
	if (task->ret_stack)
		frame = ftrace_graph_get_ret_stack(task, i);
	while (frame) {
		ksplice_check_address(sw, task, frame->ret);
		frame = ftrace_graph_get_ret_stack(task, ++i);
	}
#endif
}

/* A task may have been preempted in the copy of an instruction that a kprobe
 * took from the code that is switched; the slot does not say which.
 */
static bool ksplice_in_kprobe_slot(unsigned long addr)
{
#ifdef CONFIG_KPROBES
	if (is_kprobe_insn_slot(addr))
		return true;
#ifdef CONFIG_OPTPROBES
	if (is_kprobe_optinsn_slot(addr))
		return true;
#endif
#endif
	return false;
}

static void ksplice_scan_stack(struct ksplice_switch *sw, struct task_struct *task,
			       unsigned long sp)
{
	unsigned long end = (unsigned long)task_stack_page(task) + THREAD_SIZE;

	for (sp = ALIGN(sp, sizeof(long)); sp < end; sp += sizeof(long)) {
		unsigned long word = READ_ONCE_NOCHECK(*(unsigned long *)sp);

		ksplice_check_address(sw, task, word);
		if (!sw->keeping && ksplice_in_kprobe_slot(word))
			ksplice_conflict(sw, task, "kprobe-slot", 0);
	}
}

/* What an unwind finds counts even if it turns out unreliable later: a scan then
 * follows, and a task that is called busy without need costs only a retry.
 */
static bool ksplice_unwind(struct ksplice_switch *sw, struct task_struct *task)
{
	struct unwind_state state;

	for (unwind_start(&state, task, NULL, NULL);
	     !unwind_done(&state) && !unwind_error(&state);
	     unwind_next_frame(&state)) {
		struct pt_regs *regs = unwind_get_entry_regs(&state, NULL);
		unsigned long addr;

		if (regs && user_mode(regs))
			return true;
		if (regs && IS_ENABLED(CONFIG_FRAME_POINTER))
			return false;
		addr = unwind_get_return_address(&state);
		/* Generated code that the kernel does not know to be text. */
		if (!addr)
			return false;
		ksplice_check_address(sw, task, addr);
	}
	return !unwind_error(&state);
}

static bool ksplice_is_hooked(struct task_struct *task)
{
#ifdef CONFIG_RETHOOK
	return READ_ONCE(task->rethooks.first);
#else
	return false;
#endif
}

/* Every return address of a task, or more.  True if they are exact.
 *
 * The unwinder warns, and gives up, when it meets a kretprobe's frame on a task
 * that is runnable, although one that was preempted is just that
 * (rethook_find_ret_addr()).  To be kept, what the tracers hold is of use only if
 * the unwinder has not put it in its place.
 */
static bool ksplice_walk_stack(struct ksplice_switch *sw, struct task_struct *task,
			       unsigned long sp)
{
	bool exact = !ksplice_is_hooked(task) && ksplice_unwind(sw, task);

	if (sw->keeping && exact)
		return true;
	if (sw->keeping)
		ksplice_stack_restart(sw);
	ksplice_check_tracers(sw, task);
	if (!exact)
		ksplice_scan_stack(sw, task, sp);
	return exact;
}

static void ksplice_check_stack(struct ksplice_switch *sw, struct task_struct *task,
				unsigned long sp)
{
	u32 before = sw->nr_conflicts;

	sw->tasks++;
	if (!ksplice_walk_stack(sw, task, sp))
		sw->scanned++;
	if (sw->nr_conflicts == before || !ksplice_stack_begin(sw, task))
		return;
	sw->keeping = true;
	ksplice_walk_stack(sw, task, sp);
	sw->keeping = false;
}

/**
 * ksplice_check_current() - a CPU's stopper looks at its own stack
 * @sw: the caller makes sure that only one CPU is in here at a time
 */
void ksplice_check_current(struct ksplice_switch *sw)
{
	ksplice_check_stack(sw, current, (unsigned long)__builtin_frame_address(0));
}

/**
 * ksplice_stack_is_clear() - is no word of a stack in the way?
 * @sw:		whose busy ranges
 * @task:	the caller holds it and its stack
 *
 * It may begin to run: then the answer is worth nothing, and the caller finds
 * out (precheck.c).  So what a tracer keeps in lists that change is not read.
 *
 * Return: false too if the stack has to be looked at inside the stop.
 */
bool ksplice_stack_is_clear(const struct ksplice_switch *sw, struct task_struct *task)
{
	unsigned long base = (unsigned long)task_stack_page(task);
	unsigned long sp = READ_ONCE(task->thread.sp);

	if (ksplice_is_hooked(task) || sp < base || sp >= base + THREAD_SIZE)
		return false;
#ifdef CONFIG_FUNCTION_GRAPH_TRACER
	/* Since 42675b723b48 ("function_graph: Convert ret_stack to a series of longs")
	 * the index is never negative, and every task with such a stack goes to the stop.
	 */
	if (task->ret_stack && READ_ONCE(task->curr_ret_stack) >= 0)
		return false;
#endif
	for (sp = ALIGN(sp, sizeof(long)); sp < base + THREAD_SIZE; sp += sizeof(long)) {
		unsigned long word = READ_ONCE_NOCHECK(*(unsigned long *)sp);

		if (ksplice_find_busy(sw, word) || ksplice_in_kprobe_slot(word))
			return false;
	}
	return true;
}

static void ksplice_check_task(struct ksplice_switch *sw, struct task_struct *task)
{
	if (READ_ONCE(task->on_cpu)) {
		if (sw->stoppers[task_cpu(task)] == task)
			return;
		sw->cause = KSPLICE_UNEXPECTED_RUNNING_TASK;
		ksplice_conflict(sw, task, "running", 0);
		return;
	}
	/* A dead task's stack may be gone, and it never runs again. */
	if (!READ_ONCE(task->stack) || !refcount_read(&task->stack_refcount))
		return;
	ksplice_check_stack(sw, task, READ_ONCE(task->thread.sp));
}

static void ksplice_check_listed(struct ksplice_switch *sw, struct task_struct *task)
{
	/* First, for each of the list: the table is gone through with it. */
	bool clear = ksplice_prechecked(sw, task);

	if (clear && !READ_ONCE(task->on_cpu))
		sw->prechecked++;
	else
		ksplice_check_task(sw, task);
}

/* Has a task that still runs left the list? */
static bool ksplice_exiting_tasks(void)
{
#if IS_ENABLED(CONFIG_KSPLICE)
	return exit_tasks_rcu_pending();
#else
	/* The sum that srcu_readers_active() takes; exact, because nothing runs. */
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct srcu_data *data = per_cpu_ptr(tasks_rcu_exit_srcu.sda, cpu);

		sum += READ_ONCE(data->srcu_lock_count[0]);
		sum += READ_ONCE(data->srcu_lock_count[1]);
		sum -= READ_ONCE(data->srcu_unlock_count[0]);
		sum -= READ_ONCE(data->srcu_unlock_count[1]);
	}
	return sum;
#endif
}

/**
 * ksplice_check_tasks() - the elected CPU looks at everybody else
 * @sw:	gets the verdict and who is in the way; its stoppers have checked
 *	themselves
 *
 * The list is walked without tasklist_lock: its writers hold that lock with
 * interrupts off, so on a kernel without RT no update of it is half done while
 * all CPUs are stopped.  On RT they can be, but a child that is half added has
 * never run.
 */
void ksplice_check_tasks(struct ksplice_switch *sw)
{
	struct task_struct *process, *task;
	int cpu;

	for_each_process_thread(process, task)
		ksplice_check_listed(sw, task);
	for_each_online_cpu(cpu)
		ksplice_check_task(sw, idle_task(cpu));
	if (ksplice_exiting_tasks())
		ksplice_conflict(sw, NULL, "*", 0);
}
