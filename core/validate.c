// SPDX-License-Identifier: GPL-2.0
/*
 * What the core checks of an update before it believes it.
 *
 * The tables come from a module that was linked on this machine from what
 * matching found, and loading a module needs all privileges already.  This is
 * not a defence against an attacker: it turns a bug of the tools, or a module
 * that was kept from another boot, into a refusal.  That the tables can be read
 * at all was found out before (bounds.c).
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/string.h>

#include "core.h"

/* Text of the running kernel that can be replaced: built in, or of a module
 * that this entry has pinned.  Both ends in the same one: what lies between two
 * modules may not be mapped.
 */
static bool ksplice_replaceable(struct ksplice_entry *entry, unsigned long first,
				unsigned long last)
{
	struct ksplice_pin *pin;

	if (core_kernel_text(first))
		return core_kernel_text(last);
	list_for_each_entry(pin, &entry->pins, list) {
		/* One that is gone has left its memory to others. */
		if (pin->module && !READ_ONCE(pin->gone) &&
		    ksplice_within_text(pin->module, first))
			return ksplice_within_text(pin->module, last);
	}
	return false;
}

static bool ksplice_overlap(const struct ksplice_range *a, const struct ksplice_range *b)
{
	return a->start < b->start + b->size && b->start < a->start + a->size;
}

/* Compare a range with all of another function; the function's own ranges only
 * with those before it.
 */
static bool ksplice_overlaps(const struct ksplice_range *range,
			     const struct ksplice_function *function, u32 ranges)
{
	u32 i;

	for (i = 0; i < ranges; i++) {
		if (ksplice_overlap(range, &function->ranges[i]))
			return true;
	}
	return false;
}

static const char *ksplice_check_site(const struct ksplice_update *update,
				      const struct ksplice_function *function)
{
	const struct ksplice_range *first = &function->ranges[0];
	u32 i;

	if (function->site_size < 5 || function->site_size > KSPLICE_SITE_MAX)
		return "size of the jump's site";
	if (function->site_offset > first->size ||
	    function->site_size > first->size - function->site_offset)
		return "the jump's site lies outside";
	for (i = 0; i < function->site_size; i++) {
		if (first->mask[function->site_offset + i] != 0xff)
			return "the kernel rewrites bytes of the jump's site";
	}
	if (!ksplice_within_text(update->owner, function->new_addr))
		return "the replacement lies outside the update module's code";
	return NULL;
}

static const char *ksplice_check_range(struct ksplice_entry *entry,
				       const struct ksplice_range *range)
{
	unsigned long last = range->start + range->size - 1;

	if (!range->size || last < range->start)
		return "empty range";
	if (!ksplice_replaceable(entry, range->start, last))
		return "not text of the kernel or of a pinned module";
	/* What may not take an INT3: entry code, noinstr, the blacklist. */
	if (within_kprobe_blacklist(range->start))
		return "code that may not take a breakpoint";
	return NULL;
}

static const char *ksplice_check_function(struct ksplice_entry *entry,
					  const struct ksplice_update *update, u32 index)
{
	const struct ksplice_function *function = &update->functions[index];
	unsigned long size, offset;
	const char *why;
	u32 i, other;

	if (!function->nr_ranges || !(function->ranges[0].flags & KSPLICE_RANGE_ENTRY))
		return "no entry";
	for (i = 0; i < function->nr_ranges; i++) {
		why = ksplice_check_range(entry, &function->ranges[i]);
		if (why)
			return why;
		if (ksplice_overlaps(&function->ranges[i], function, i))
			return "ranges overlap";
		for (other = 0; other < index; other++) {
			if (ksplice_overlaps(&function->ranges[i], &update->functions[other],
					     update->functions[other].nr_ranges))
				return "functions overlap";
		}
	}
	if (!kallsyms_lookup_size_offset(function->ranges[0].start, &size, &offset) || offset)
		return "not the start of a function";
	return ksplice_check_site(update, function);
}

static bool ksplice_replaces(const struct ksplice_update *update, const struct ksplice_range *range)
{
	u32 i;

	for (i = 0; i < update->nr_functions; i++) {
		const struct ksplice_function *function = &update->functions[i];

		if (ksplice_overlaps(range, function, function->nr_ranges))
			return true;
	}
	return false;
}

/* The function's bytes are as they were when that update is undone, and its jump
 * would go with them.  An update on top of it replaces its replacement instead,
 * which is other text: see ksplice_out_of_order().  One that is being switched, in
 * the same stop or by somebody else, counts as if it were applied.
 */
static const struct ksplice_entry *ksplice_taken_by(const struct ksplice_entry *self,
						    const struct ksplice_function *function)
{
	const struct ksplice_entry *entry;
	u32 i;

	list_for_each_entry(entry, &ksplice_entries, list) {
		if (entry == self || !entry->update)
			continue;
		if (entry->stage != KSPLICE_APPLIED && !entry->switching)
			continue;
		for (i = 0; i < function->nr_ranges; i++) {
			if (ksplice_replaces(entry->update, &function->ranges[i]))
				return entry;
		}
	}
	return NULL;
}

/**
 * ksplice_validate() - may these functions be replaced?
 * @entry:	with the pins of the update
 * @update:	as its module handed it in
 *
 * Context: ksplice_mutex held.
 *
 * Return: 0, -EINVAL (with a line in the kernel log), or -EBUSY if another
 * update has replaced one of the functions, or is about to.
 */
int ksplice_validate(struct ksplice_entry *entry, const struct ksplice_update *update)
{
	const struct ksplice_entry *other;
	const char *why;
	u32 i;

	if (!update->nr_functions && !update->nr_hooks) {
		pr_err("%s: an update without functions and hooks\n", entry->id);
		return -EINVAL;
	}
	for (i = 0; i < update->nr_hooks; i++) {
		why = ksplice_check_hook(update, &update->hooks[i]);
		if (why) {
			pr_err("%s: %s: %s\n", entry->id, update->hooks[i].name, why);
			return -EINVAL;
		}
	}
	for (i = 0; i < update->nr_functions; i++) {
		const struct ksplice_function *function = &update->functions[i];

		why = ksplice_check_function(entry, update, i);
		if (why) {
			pr_err("%s: %s: %s\n", entry->id, function->name, why);
			return -EINVAL;
		}
		other = ksplice_taken_by(entry, function);
		if (other) {
			pr_err("%s: %s is replaced by %s\n", entry->id, function->name,
			       other->id);
			return -EBUSY;
		}
	}
	return 0;
}
