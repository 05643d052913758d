// SPDX-License-Identifier: GPL-2.0
/*
 * What is told of attempts: who was in the way, and, for `debug`, every one of them.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "core.h"

/* At undo the whole text of the update's module must be idle; a person wants to
 * know which function of it is not.  A return address can be a function's end.
 */
static size_t ksplice_print_place(char *to, size_t room, const struct ksplice_switch *sw,
				  const struct ksplice_conflict *conflict)
{
	char symbol[KSYM_SYMBOL_LEN], *module;

	if (sw->direction != KSPLICE_UNDO || !conflict->addr)
		return scnprintf(to, room, " %s", conflict->name);
	sprint_symbol_no_offset(symbol, conflict->addr - 1);
	module = strchr(symbol, ' ');
	if (module)
		*module = 0;
	return scnprintf(to, room, " %s", symbol);
}

/**
 * ksplice_print_conflicts() - who was in the way, for the file `conflicts`
 * @entry:	whose file
 * @sw:		after its last attempt
 *
 * One line for each task: its name, its number, and the functions it was in.
 * Whole lines only, as many as fit; the kernel log says if there were more.
 */
void ksplice_print_conflicts(struct ksplice_entry *entry, const struct ksplice_switch *sw)
{
	bool all = !sw->conflicts_lost;
	size_t length = 0;
	u32 i, j;

	entry->conflicts[0] = 0;
	for (i = 0; i < sw->nr_conflicts; i++) {
		const struct ksplice_conflict *first = &sw->conflicts[i];
		size_t line = length;

		if (i && first[-1].task == first->task)
			continue;
		line += scnprintf(entry->conflicts + line, PAGE_SIZE - line, "%s %d",
				  first->comm, first->pid);
		for (j = i; j < sw->nr_conflicts && sw->conflicts[j].task == first->task; j++)
			line += ksplice_print_place(entry->conflicts + line, PAGE_SIZE - line,
						    sw, &sw->conflicts[j]);
		if (line + 2 > PAGE_SIZE) {
			entry->conflicts[length] = 0;
			all = false;
			break;
		}
		entry->conflicts[line++] = '\n';
		entry->conflicts[line] = 0;
		length = line;
	}
	if (!all)
		pr_info("%s: more tasks were in the way than are listed\n", entry->id);
}

/**
 * ksplice_log_attempt() - what `debug` asks for
 * @list:	under the first one's name, if there are several
 * @sw:		after an attempt
 */
void ksplice_log_attempt(const struct ksplice_list *list, const struct ksplice_switch *sw)
{
	const char *id = list->entries[0]->id;
	u32 i;

	for (i = 1; i < list->count; i++)
		pr_info("%s: in one stop with %s\n", id, list->entries[i]->id);
	pr_info("%s: %s, attempt %u: %s; %u tasks had not run, %u looked at, %u scanned; %llu us\n",
		id, sw->direction == KSPLICE_APPLY ? "apply" : "undo", list->entries[0]->attempts,
		ksplice_abort_name(sw->cause), sw->prechecked, sw->tasks, sw->scanned,
		sw->call_ns / 1000);
	ksplice_stacks_print(id, sw);
}
