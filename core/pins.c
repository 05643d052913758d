// SPDX-License-Identifier: GPL-2.0
/*
 * What an update holds, and what it stands on.
 *
 * The modules that an update replaces code of, or is bound to, are pinned before it
 * is matched with them, and stay until it is forgotten.  The module of an update
 * that it is on top of is one of them: by that the order of updates is known.
 *
 * Locks: ksplice_mutex, then module_mutex; the lists of pins are written under
 * ksplice_lists_lock, too, which is all that the module notifier takes.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/slab.h>

#include "core.h"

/**
 * ksplice_may_pin() - can a module of this name be noted for an entry?
 * @entry:	in stage preparing or reversed
 * @name:	as user space wrote it
 *
 * Context: ksplice_mutex held.
 *
 * Return: 0; -EINVAL for a name that no module has, or that of the update's own
 * module, which could never be unloaded then; -ENOSPC.
 */
int ksplice_may_pin(const struct ksplice_entry *entry, const char *name)
{
	const struct ksplice_pin *pin;
	u32 pins = 0;

	/* A longer one would be cut, and stand for another module. */
	if (!name[0] || strlen(name) >= MODULE_NAME_LEN)
		return -EINVAL;
	if (entry->update && !strcmp(entry->update->owner->name, name))
		return -EINVAL;
	list_for_each_entry(pin, &entry->pins, list)
		pins++;
	return pins < KSPLICE_PINS_MAX ? 0 : -ENOSPC;
}

/* With a reference, or NULL. */
static struct module *ksplice_get_loaded(const char *name)
{
	struct module *module;

	mutex_lock(&module_mutex);
	module = find_module(name);
	if (module && (module->state != MODULE_STATE_LIVE || !try_module_get(module)))
		module = NULL;
	mutex_unlock(&module_mutex);
	return module;
}

/**
 * ksplice_find_pin() - what an entry has noted under a name
 * @entry:	with its pins
 * @name:	as in /proc/modules
 *
 * Context: ksplice_mutex held.
 *
 * Return: NULL if nothing.
 */
struct ksplice_pin *ksplice_find_pin(const struct ksplice_entry *entry, const char *name)
{
	struct ksplice_pin *pin;

	list_for_each_entry(pin, &entry->pins, list) {
		if (!strcmp(pin->name, name))
			return pin;
	}
	return NULL;
}

/**
 * ksplice_pin() - keep a module from being unloaded until `forget`
 * @entry:	in stage preparing or reversed
 * @name:	as in /proc/modules; pinning twice is no error, and takes a module that
 *		was not loaded the first time
 *
 * Context: ksplice_mutex held.
 *
 * Return: 0; -ENOENT (cause target_not_loaded); -EBUSY (cause module_busy) for one
 * that was skipped, which has to be unloaded before an undo and could not be then;
 * see ksplice_may_pin(); or -ENOMEM.
 */
int ksplice_pin(struct ksplice_entry *entry, const char *name)
{
	struct ksplice_pin *pin, *found;
	struct module *module;
	int ret;

	ret = ksplice_may_pin(entry, name);
	if (ret)
		return ret;
	found = ksplice_find_pin(entry, name);
	if (found && ksplice_is_skipped(found)) {
		entry->cause = KSPLICE_MODULE_BUSY;
		return -EBUSY;
	}
	if (found && found->module)
		return 0;
	pin = found ? found : kzalloc(sizeof(*pin), GFP_KERNEL);
	if (!pin)
		return -ENOMEM;

	module = ksplice_get_loaded(name);
	if (!module && !entry->partial) {
		if (!found)
			kfree(pin);
		entry->cause = KSPLICE_TARGET_NOT_LOADED;
		return -ENOENT;
	}
	spin_lock(&ksplice_lists_lock);
	pin->module = module;
	if (!found) {
		strscpy(pin->name, name, sizeof(pin->name));
		list_add_tail(&pin->list, &entry->pins);
	}
	spin_unlock(&ksplice_lists_lock);
	return 0;
}

/* Context: ksplice_mutex and ksplice_lists_lock held. */
void ksplice_unpin_all(struct ksplice_entry *entry)
{
	struct ksplice_pin *pin, *next;

	list_for_each_entry_safe(pin, next, &entry->pins, list) {
		if (pin->module && !pin->gone)
			module_put(pin->module);
		list_del(&pin->list);
		kfree(pin);
	}
}

/* A pinned module can only go by force.  Its memory is about to be freed: its
 * functions must not be written again.
 */
void ksplice_module_gone(struct module *module)
{
	struct ksplice_entry *entry;
	struct ksplice_pin *pin;

	spin_lock(&ksplice_lists_lock);
	list_for_each_entry(entry, &ksplice_entries, list) {
		list_for_each_entry(pin, &entry->pins, list) {
			if (pin->module != module || pin->gone)
				continue;
			WRITE_ONCE(pin->gone, true);
			pr_warn("%s: module %s was unloaded by force; the update stays as it is\n",
				entry->id, pin->name);
		}
	}
	spin_unlock(&ksplice_lists_lock);
}

/**
 * ksplice_any_pin_gone() - has somebody unloaded a pinned module by force?
 * @list:	its pins do not change: ksplice_mutex is held, or all are `switching`
 *
 * Context: any.  Inside the stop, a module that is not gone stays until its end: the
 * notifier comes before its memory is freed, and can only come afterwards.
 */
bool ksplice_any_pin_gone(const struct ksplice_list *list)
{
	struct ksplice_pin *pin;
	u32 i;

	for (i = 0; i < list->count; i++) {
		list_for_each_entry(pin, &list->entries[i]->pins, list) {
			if (READ_ONCE(pin->gone))
				return true;
		}
	}
	return false;
}

static bool ksplice_has_pinned(const struct ksplice_entry *entry, const struct module *module)
{
	const struct ksplice_pin *pin;

	list_for_each_entry(pin, &entry->pins, list) {
		if (pin->module == module)
			return true;
	}
	return false;
}

/* Is it switched in the same stop, and comes before? */
static bool ksplice_comes_before(const struct ksplice_list *list, u32 index,
				 const struct ksplice_entry *entry)
{
	u32 i;

	for (i = 0; i < index; i++) {
		if (list->entries[i] == entry)
			return true;
	}
	return false;
}

/**
 * ksplice_out_of_order() - who forbids this change of stage
 * @list:	whose stages are to change, in this order
 * @index:	which of them is asked about
 * @direction:	where to
 *
 * An update on top of another one replaces functions of that one's module, and has
 * pinned it.  The lower one is applied as long as the upper one is, or what the
 * upper one replaces is not what is called.  In one stop they may change together:
 * the lower one comes first at apply, the upper one at undo.
 *
 * Context: ksplice_mutex held, and again when the stage is told (change.c): in
 * between, entry->switching stands for the stage that is to come.
 *
 * Return: the other update, or NULL.
 */
const struct ksplice_entry *ksplice_out_of_order(const struct ksplice_list *list, u32 index,
						 enum ksplice_direction direction)
{
	const struct ksplice_entry *other, *entry = list->entries[index];

	list_for_each_entry(other, &ksplice_entries, list) {
		if (other == entry || !other->update || ksplice_comes_before(list, index, other))
			continue;
		if (direction == KSPLICE_APPLY) {
			if (ksplice_has_pinned(entry, other->update->owner) &&
			    (other->stage != KSPLICE_APPLIED || other->switching))
				return other;
		} else if (ksplice_has_pinned(other, entry->update->owner) &&
			   (other->stage == KSPLICE_APPLIED || other->switching)) {
			return other;
		}
	}
	return NULL;
}
