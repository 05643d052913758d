// SPDX-License-Identifier: GPL-2.0
/*
 * For `debug`: the stacks of the tasks that were in the way, as they were inside
 * the stop.  A moment later the task may be somewhere else, and the question how
 * it came to be there cannot be answered any more.
 *
 * Taken inside the stop, while nothing is written yet; printed after it.  The
 * words that may be return addresses into the kernel are kept, oldest call last;
 * where the stack was scanned, and not unwound, some of them are stale.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/sched/task_stack.h>

#include "core.h"

#define KSPLICE_STACKS_MAX	16
#define KSPLICE_STACK_DEPTH	32

/**
 * struct ksplice_stack - one task's
 * @pid:	whose
 * @comm:	its name
 * @count:	number of @words
 * @words:	the latest first
 */
struct ksplice_stack {
	pid_t		pid;
	char		comm[TASK_COMM_LEN];
	u32		count;
	unsigned long	words[KSPLICE_STACK_DEPTH];
};

/**
 * ksplice_stacks_alloc() - have the attempts keep stacks
 * @sw: without memory they do without
 */
void ksplice_stacks_alloc(struct ksplice_switch *sw)
{
	sw->stacks = kvcalloc(KSPLICE_STACKS_MAX, sizeof(*sw->stacks), GFP_KERNEL);
}

/**
 * ksplice_stack_begin() - a task is in the way: its words follow
 * @sw:		with or without memory for stacks
 * @task:	not yet among them
 *
 * Context: inside the stop.
 *
 * Return: true if there is room.
 */
bool ksplice_stack_begin(struct ksplice_switch *sw, struct task_struct *task)
{
	struct ksplice_stack *stack;
	u32 i;

	if (!sw->stacks || sw->nr_stacks == KSPLICE_STACKS_MAX)
		return false;
	stack = &sw->stacks[sw->nr_stacks++];
	stack->pid = task->pid;
	for (i = 0; i < TASK_COMM_LEN - 1; i++)
		stack->comm[i] = READ_ONCE(task->comm[i]);
	stack->comm[i] = 0;
	stack->count = 0;
	return true;
}

/**
 * ksplice_stack_word() - add a word to the stack that was begun last
 * @sw:		ksplice_stack_begin() said that there is room
 * @word:	anything
 *
 * Context: inside the stop.
 */
void ksplice_stack_word(struct ksplice_switch *sw, unsigned long word)
{
	struct ksplice_stack *stack = &sw->stacks[sw->nr_stacks - 1];

	if (stack->count < KSPLICE_STACK_DEPTH && __kernel_text_address(word))
		stack->words[stack->count++] = word;
}

/* What an unwind gave that turned out unreliable: a scan has all of it, and more. */
void ksplice_stack_restart(struct ksplice_switch *sw)
{
	sw->stacks[sw->nr_stacks - 1].count = 0;
}

/**
 * ksplice_stacks_print() - to the kernel log, after an attempt
 * @id:	the update's
 * @sw:	with what the attempt kept
 */
void ksplice_stacks_print(const char *id, const struct ksplice_switch *sw)
{
	u32 i, j;

	for (i = 0; i < sw->nr_stacks; i++) {
		const struct ksplice_stack *stack = &sw->stacks[i];

		pr_info("%s: stack of %s (pid %d):\n", id, stack->comm, stack->pid);
		for (j = 0; j < stack->count; j++)
			pr_info("%s:   %pB\n", id, (void *)stack->words[j]);
	}
}
