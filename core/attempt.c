// SPDX-License-Identifier: GPL-2.0
/*
 * One attempt to switch: prepare, take the locks, stop, let go.
 *
 * Lock order, as everywhere in 6.1:
 *
 *	ksplice_mutex or ksplice_entry.switching	(change.c)
 *	  cpus_read_lock()	no CPU comes or goes
 *	    jump_label_lock()	no static key has updates queued but not written
 *	      text_mutex	nobody else is in the middle of a text poke
 *		stop_machine_cpuslocked()
 *
 * stop_machine() itself would take cpus_read_lock() under text_mutex, which
 * deadlocks with CPU hotplug (see the comment in kernel/kprobes.c on the lock
 * order).  No module is loaded while text_mutex is held.  Everything is let go
 * between attempts.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/cpu.h>
#include <linux/ftrace.h>
#include <linux/jump_label.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/static_call.h>
#include <asm/alternative.h>

#include "core.h"
#include "module_memory.h"

#define KSPLICE_JUMP_SIZE	5
#define KSPLICE_JUMP		0xe9
#define KSPLICE_NOP		0x90

static int ksplice_busy_order(const void *a, const void *b)
{
	const struct ksplice_busy *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return 0;
}

/* At undo: all text of the update module, new functions included; it may be
 * unloaded afterwards.
 */
static void ksplice_add_module(struct ksplice_switch *sw, const struct module *owner)
{
	struct ksplice_busy *busy = &sw->busy[sw->nr_busy++];

	busy->start = ksplice_text_start(owner);
	busy->end = busy->start + ksplice_text_size(owner);
	busy->name = owner->name;
}

/* At apply: the old code. */
static void ksplice_add_function(struct ksplice_switch *sw, const struct ksplice_function *function)
{
	u32 i;

	for (i = 0; i < function->nr_ranges; i++) {
		const struct ksplice_range *range = &function->ranges[i];
		struct ksplice_busy *busy = &sw->busy[sw->nr_busy++];

		busy->start = range->start + !!(range->flags & KSPLICE_RANGE_ENTRY);
		busy->end = range->start + range->size;
		busy->name = function->name;
	}
}

static int ksplice_collect_busy(struct ksplice_switch *sw)
{
	u32 i, j, count = 0;

	for (i = 0; i < sw->nr_updates; i++) {
		const struct ksplice_update *update = sw->updates[i];

		if (sw->direction == KSPLICE_UNDO)
			count++;
		else
			for (j = 0; j < update->nr_functions; j++)
				count += update->functions[j].nr_ranges;
	}
	sw->busy = kvcalloc(count, sizeof(*sw->busy), GFP_KERNEL);
	if (!sw->busy)
		return -ENOMEM;
	for (i = 0; i < sw->nr_updates; i++) {
		const struct ksplice_update *update = sw->updates[i];

		if (sw->direction == KSPLICE_UNDO)
			ksplice_add_module(sw, update->owner);
		else
			for (j = 0; j < update->nr_functions; j++)
				ksplice_add_function(sw, &update->functions[j]);
	}
	sort(sw->busy, sw->nr_busy, sizeof(*sw->busy), ksplice_busy_order, NULL);
	return 0;
}

/*
 * The jump goes behind the ftrace entry, so tracing, entry kprobes, kretprobes
 * and BPF trampolines of the function keep working.  What is left of a half
 * overwritten instruction becomes NOPs: disassemblers, kprobes' among them,
 * decode a function from its start and must stay in step.
 */
static void ksplice_make_site(struct ksplice_switch *sw, const struct ksplice_update *update,
			      const struct ksplice_function *function)
{
	struct ksplice_site *site = &sw->sites[sw->nr_sites++];
	const u8 *old = function->ranges[0].body + function->site_offset;
	u8 jump[KSPLICE_SITE_MAX];
	s32 displacement;

	site->addr = function->ranges[0].start + function->site_offset;
	site->id = update->id;
	site->name = function->name;
	site->size = function->site_size;
	site->target = function->new_addr;

	memset(jump, KSPLICE_NOP, sizeof(jump));
	displacement = (s32)(site->target - (site->addr + KSPLICE_JUMP_SIZE));
	jump[0] = KSPLICE_JUMP;				/* e9 rel32	jmp	new */
	memcpy(jump + 1, &displacement, sizeof(displacement));

	memcpy(site->from, sw->direction == KSPLICE_APPLY ? old : jump, site->size);
	memcpy(site->to, sw->direction == KSPLICE_APPLY ? jump : old, site->size);
}

/*
 * The last update comes first.  An NMI may come while sites are being written; of
 * updates on top of one another it then finds, at apply, no lower jump whose upper
 * one is not there, and at undo, none whose upper one is gone already.
 */
static void ksplice_make_sites(struct ksplice_switch *sw)
{
	u32 i, j;

	for (i = sw->nr_updates; i--;) {
		const struct ksplice_update *update = sw->updates[i];

		for (j = 0; j < update->nr_functions; j++)
			ksplice_make_site(sw, update, &update->functions[j]);
	}
}

/**
 * ksplice_switch_alloc() - all memory that the attempts of one change need
 * @list:	whose updates are validated (validate.c)
 * @direction:	apply or undo
 *
 * What grows with the number of functions need not be in one piece: a machine that has
 * been up for long has no large ones left.
 *
 * Return: to be freed with ksplice_switch_free(), or NULL.
 */
struct ksplice_switch *ksplice_switch_alloc(const struct ksplice_list *list,
					    enum ksplice_direction direction)
{
	struct ksplice_switch *sw;
	u32 i, functions = 0;

	sw = kzalloc(sizeof(*sw), GFP_KERNEL);
	if (!sw)
		return NULL;
	sw->direction = direction;
	sw->list = list;
	sw->nr_updates = list->count;
	for (i = 0; i < list->count; i++) {
		sw->updates[i] = list->entries[i]->update;
		functions += sw->updates[i]->nr_functions;
	}
	/* Read inside the stop and by the INT3 handler, in NMIs too: all page tables share the
	 * entries above the vmalloc area from boot on, so that it never faults.
	 */
	sw->sites = kvcalloc(functions, sizeof(*sw->sites), GFP_KERNEL);
	sw->conflicts = kcalloc(KSPLICE_CONFLICTS_MAX, sizeof(*sw->conflicts), GFP_KERNEL);
	sw->stoppers = kcalloc(nr_cpu_ids, sizeof(*sw->stoppers), GFP_KERNEL);
	if (!sw->sites || !sw->conflicts || !sw->stoppers || ksplice_collect_busy(sw)) {
		ksplice_switch_free(sw);
		return NULL;
	}
	ksplice_make_sites(sw);
	return sw;
}

void ksplice_switch_free(struct ksplice_switch *sw)
{
	if (!sw)
		return;
	kvfree(sw->stacks);
	kvfree(sw->busy);
	kfree(sw->stoppers);
	kfree(sw->conflicts);
	kvfree(sw->sites);
	kfree(sw);
}

/*
 * What the kernel rewrites must not lie under the jump: toggling it would find
 * foreign bytes and BUG(), or silently overwrite the jump; and undo would write
 * back a photograph of it.  The helpers treat the end as inclusive.
 */
static bool ksplice_site_reserved(struct ksplice_switch *sw)
{
	u32 i;

	for (i = 0; i < sw->nr_sites; i++) {
		void *start = (void *)sw->sites[i].addr;
		void *last = start + sw->sites[i].size - 1;
		const char *owner = NULL;

		if (ftrace_text_reserved(start, last))
			owner = "ftrace";
		else if (jump_label_text_reserved(start, last))
			owner = "a jump label";
		else if (static_call_text_reserved(start, last))
			owner = "a static call";
		else if (alternatives_text_reserved(start, last + 1))
			owner = "a lock prefix";
		if (!owner)
			continue;
		pr_warn("%s: %s owns bytes at %pS\n", sw->sites[i].id, owner, start);
		sw->cause = KSPLICE_CODE_BUSY;
		return true;
	}
	return false;
}

/* Decoders of processor traces need to hear of changed text. */
static void ksplice_tell_perf(struct ksplice_switch *sw)
{
	u32 i;

	for (i = 0; i < sw->nr_sites; i++) {
		struct ksplice_site *site = &sw->sites[i];

		perf_event_text_poke((void *)site->addr, site->from, site->size,
				     site->to, site->size);
	}
}

/**
 * ksplice_attempt() - try once
 * @sw: verdict, conflicts and times of an earlier attempt are forgotten
 *
 * Context: process context, may sleep; none of the locks above held.
 *
 * Return: KSPLICE_OK if the kernel was switched; otherwise nothing was written.
 */
enum ksplice_abort ksplice_attempt(struct ksplice_switch *sw)
{
	int ret;

	sw->cause = KSPLICE_OK;
	sw->stopped_ns = 0;
	sw->call_ns = 0;
	sw->failed_hook = NULL;
	sw->nr_conflicts = 0;
	sw->conflicts_lost = false;
	sw->bad_name = NULL;
	sw->tasks = 0;
	sw->scanned = 0;
	sw->prechecked = 0;
	sw->nr_stacks = 0;

	ret = ksplice_map_sites(sw);
	if (ret) {
		sw->cause = ret == -ENOMEM ? KSPLICE_OUT_OF_MEMORY : KSPLICE_UNEXPECTED;
		if (ksplice_any_pin_gone(sw->list))
			sw->cause = KSPLICE_TARGET_NOT_LOADED;
		return sw->cause;
	}

	ksplice_precheck(sw);
	cpus_read_lock();
	jump_label_lock();
	mutex_lock(&text_mutex);
	if (!ksplice_site_reserved(sw)) {
		if (ksplice_stop_all(sw))
			sw->cause = KSPLICE_UNEXPECTED;
		if (sw->cause == KSPLICE_OK)
			ksplice_tell_perf(sw);
	}
	mutex_unlock(&text_mutex);
	jump_label_unlock();
	cpus_read_unlock();

	ksplice_precheck_done(sw);
	ksplice_unmap_sites(sw);
	return sw->cause;
}
