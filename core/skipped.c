// SPDX-License-Identifier: GPL-2.0
/*
 * Modules that an update is applied without.
 *
 * A target that is not loaded cannot be updated in memory.  User space has put a
 * fixed module of that name where modprobe finds it, and says here by which
 * srcversion it is known.  As long as the update is applied, the module that the
 * name stands for is the fixed one or none: another one would meet a kernel that
 * has changed under it.
 *
 *	preparing, reversed	any module of the name may come; it is looked for
 *				when the stage changes
 *	stage changing		none may
 *	applied			the fixed one may
 *
 * So a module that comes between the check and the switch is either seen by the
 * check or turned away here.  The loader makes a module's state COMING under
 * module_mutex before it calls notifiers, and find_module() sees it from then on.
 *
 * Locks: ksplice_mutex, then module_mutex.  The notifier holds no more than
 * ksplice_lists_lock, a leaf.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/slab.h>

#include "core.h"

/* Under module_mutex, or in the notifier of this very module: what says of itself
 * which module it is goes away with one that is GOING.
 */
static bool is_fixed(const struct module *module, const struct ksplice_pin *pin)
{
	return module->state != MODULE_STATE_GOING && module->srcversion &&
	       !strcmp(module->srcversion, pin->srcversion);
}

/**
 * ksplice_skip() - note that a target is not updated in memory
 * @entry:	in stage preparing or reversed, partial
 * @name:	as in /proc/modules
 * @srcversion:	of the fixed module
 *
 * Context: ksplice_mutex held.
 *
 * Return: 0; -EINVAL; -ENOSPC; -ENOENT (cause target_not_loaded) if @entry is not partial;
 * -EBUSY (cause module_busy) if another module than the fixed one is loaded, comes
 * or goes; -ENOMEM.
 */
int ksplice_skip(struct ksplice_entry *entry, const char *name, const char *srcversion)
{
	struct ksplice_pin *pin;
	struct module *module;
	bool busy;
	int ret;

	ret = ksplice_may_pin(entry, name);
	if (ret)
		return ret;
	if (!*srcversion || strlen(srcversion) > KSPLICE_SRCVERSION_MAX)
		return -EINVAL;
	if (!entry->partial) {
		entry->cause = KSPLICE_TARGET_NOT_LOADED;
		return -ENOENT;
	}
	pin = ksplice_find_pin(entry, name);
	if (pin)
		return strcmp(pin->srcversion, srcversion) ? -EINVAL : 0;
	pin = kzalloc(sizeof(*pin), GFP_KERNEL);
	if (!pin)
		return -ENOMEM;
	strscpy(pin->name, name, sizeof(pin->name));
	strscpy(pin->srcversion, srcversion, sizeof(pin->srcversion));

	mutex_lock(&module_mutex);
	module = find_module(name);
	busy = module && !is_fixed(module, pin);
	mutex_unlock(&module_mutex);

	if (busy) {
		kfree(pin);
		entry->cause = KSPLICE_MODULE_BUSY;
		return -EBUSY;
	}
	spin_lock(&ksplice_lists_lock);
	list_add_tail(&pin->list, &entry->pins);
	spin_unlock(&ksplice_lists_lock);
	return 0;
}

/**
 * ksplice_check_skipped() - may the stage change, seen from skipped targets?
 * @entry:	@entry->switching is set: none of them can come any more
 * @direction:	where to
 *
 * Going back would leave a fixed module to a kernel that is not, so there may be none.
 *
 * Context: ksplice_mutex held.
 *
 * Return: KSPLICE_OK, KSPLICE_MODULE_BUSY or KSPLICE_COLD_UPDATE_LOADED.
 */
enum ksplice_abort ksplice_check_skipped(struct ksplice_entry *entry,
					 enum ksplice_direction direction)
{
	enum ksplice_abort cause = KSPLICE_OK;
	struct ksplice_pin *pin;
	struct module *module;

	mutex_lock(&module_mutex);
	list_for_each_entry(pin, &entry->pins, list) {
		module = ksplice_is_skipped(pin) ? find_module(pin->name) : NULL;
		if (!module)
			continue;
		if (direction == KSPLICE_UNDO)
			cause = KSPLICE_COLD_UPDATE_LOADED;
		else if (!is_fixed(module, pin))
			cause = KSPLICE_MODULE_BUSY;
	}
	mutex_unlock(&module_mutex);
	return cause;
}

/**
 * ksplice_module_coming() - may this module be loaded?
 * @module:	its state is COMING; nothing of it has run
 *
 * Context: the module notifier chain's.
 *
 * Return: 0, or -EBUSY.
 */
int ksplice_module_coming(struct module *module)
{
	struct ksplice_entry *entry;
	struct ksplice_pin *pin;
	int ret = 0;

	spin_lock(&ksplice_lists_lock);
	list_for_each_entry(entry, &ksplice_entries, list) {
		list_for_each_entry(pin, &entry->pins, list) {
			if (!ksplice_is_skipped(pin) || strcmp(pin->name, module->name))
				continue;
			if (!entry->switching &&
			    (entry->stage != KSPLICE_APPLIED || is_fixed(module, pin)))
				continue;
			pr_notice("%s: module %s not loaded: %s\n", entry->id, pin->name,
				  entry->switching ? "the update is being switched" :
						     "it is not the fixed one");
			ret = -EBUSY;
		}
	}
	spin_unlock(&ksplice_lists_lock);
	return ret;
}
