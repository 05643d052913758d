// SPDX-License-Identifier: GPL-2.0
/*
 * Do the tables of an update lie where they can: all of them inside its module?
 *
 * An update module is code, and could do anything by itself.  But a table that
 * leads out of it, by a bug of the tools or a module of another layout, would be
 * read with all CPUs stopped.  So nothing is followed before it is known to lie in
 * the module, whole; counts are compared with what the module has room for; and
 * names end inside it.  What the tables say is looked at afterwards (validate.c).
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/string.h>

#include "core.h"
#include "module_memory.h"

/* Is all of it in the part of the module that stays when its init has run? */
static bool ksplice_within(const struct module *owner, const void *start, u64 size)
{
	u64 room = ksplice_module_room(owner, (unsigned long)start);

	return start && room && size <= room;
}

static bool ksplice_is_string(const struct module *owner, const char *text)
{
	unsigned long room = ksplice_module_room(owner, (unsigned long)text);

	return text && room && strnlen(text, room) < room;
}

/**
 * ksplice_within_text() - is it code of the module?
 * @owner:	the module
 * @addr:	its address
 */
bool ksplice_within_text(const struct module *owner, unsigned long addr)
{
	return addr - ksplice_text_start(owner) < ksplice_text_size(owner);
}

static const char *ksplice_bound_function(const struct module *owner,
					  const struct ksplice_function *function)
{
	u32 i;

	if (!ksplice_is_string(owner, function->name))
		return "a function's name lies outside";
	if (function->reserved)
		return "a field of a function that is not known";
	if (!function->nr_ranges || function->nr_ranges > KSPLICE_RANGES_MAX)
		return "number of ranges";
	if (!ksplice_within(owner, function->ranges,
			    (u64)function->nr_ranges * sizeof(*function->ranges)))
		return "ranges lie outside";
	for (i = 0; i < function->nr_ranges; i++) {
		const struct ksplice_range *range = &function->ranges[i];

		if (range->flags & ~KSPLICE_RANGE_ENTRY)
			return "a flag of a range that is not known";
		if (!ksplice_within(owner, range->body, range->size) ||
		    !ksplice_within(owner, range->mask, range->size))
			return "bytes of a range lie outside";
	}
	return NULL;
}

static const char *ksplice_bound_hook(const struct module *owner, const struct ksplice_hook *hook)
{
	if (!ksplice_is_string(owner, hook->name))
		return "a hook's name lies outside";
	return hook->reserved ? "a field of a hook that is not known" : NULL;
}

static const char *ksplice_bound_tables(const struct module *owner,
					const struct ksplice_update *update)
{
	const char *why = NULL;
	u64 ranges = 0;
	u32 i;

	if (update->flags & ~KSPLICE_UPDATE_RESIDENT)
		return "a flag of the update that is not known";
	if (update->nr_functions > KSPLICE_FUNCTIONS_MAX)
		return "number of functions";
	if (update->nr_hooks > KSPLICE_HOOKS_MAX)
		return "number of hooks";
	if (update->nr_functions &&
	    !ksplice_within(owner, update->functions,
			    (u64)update->nr_functions * sizeof(*update->functions)))
		return "functions lie outside";
	if (update->nr_hooks &&
	    !ksplice_within(owner, update->hooks, (u64)update->nr_hooks * sizeof(*update->hooks)))
		return "hooks lie outside";
	for (i = 0; i < update->nr_functions && !why; i++) {
		why = ksplice_bound_function(owner, &update->functions[i]);
		ranges += update->functions[i].nr_ranges;
		if (!why && ranges > KSPLICE_RANGES_MAX)
			why = "number of ranges in all";
	}
	for (i = 0; i < update->nr_hooks && !why; i++)
		why = ksplice_bound_hook(owner, &update->hooks[i]);
	return why;
}

/**
 * ksplice_check_bounds() - may the tables of an update be read?
 * @update:	as a module handed it in; nothing of it is believed
 *
 * Context: from the module's init, before anything of @update is used.
 *
 * Return: 0, or -EINVAL with a line in the kernel log.
 */
int ksplice_check_bounds(const struct ksplice_update *update)
{
	struct module *owner;
	const char *why;

	/* The module stays: this is called from its init. */
	preempt_disable();
	owner = __module_address((unsigned long)update);
	preempt_enable();
	if (!owner || !ksplice_within(owner, update, sizeof(*update))) {
		pr_err("an update that is not part of a module was refused\n");
		return -EINVAL;
	}
	/* The layout of all that follows depends on it. */
	if (update->interface != KSPLICE_INTERFACE) {
		pr_err("%s: interface %u, expected %u\n", owner->name, update->interface,
		       KSPLICE_INTERFACE);
		return -EINVAL;
	}
	if (update->owner != owner)
		why = "another module is named as its owner";
	else if (!ksplice_is_string(owner, update->id))
		why = "the ID lies outside";
	else
		why = ksplice_bound_tables(owner, update);
	if (!why)
		return 0;
	pr_err("%s: tables of the update: %s\n", owner->name, why);
	return -EINVAL;
}
