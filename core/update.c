// SPDX-License-Identifier: GPL-2.0
/*
 * The list of all updates, and how an update's module comes to its entry.
 *
 *	preparing --applied--> applied --reversed--> reversed --applied--> ...
 *
 * References: an entry holds the core from `create` to `forget`, and every
 * pinned module as long (pins.c).  An applied update holds its own module, so that
 * it cannot be unloaded; a resident one holds it for good (change.c).
 *
 * ksplice_mutex protects the list and all entries.  A change of stage sets
 * entry->switching and lets go of the mutex, so that the seconds between
 * attempts hold nothing; who finds the flag set gets -EBUSY.
 * ksplice_lists_lock is a leaf lock for what the module notifier reads, which may
 * take nothing else: the list of entries and their pins.  Writers hold both.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/export.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "core.h"

/* Protects the list of entries and what is in them, but for ksplice_entry.kobj. */
DEFINE_MUTEX(ksplice_mutex);
LIST_HEAD(ksplice_entries);
DEFINE_SPINLOCK(ksplice_lists_lock);

struct ksplice_entry *ksplice_find(const char *id)
{
	struct ksplice_entry *entry;

	lockdep_assert_held(&ksplice_mutex);
	list_for_each_entry(entry, &ksplice_entries, list) {
		if (!entry->forgotten && !strcmp(entry->id, id))
			return entry;
	}
	return NULL;
}

/**
 * ksplice_may_add() - may there be a new entry of this name?
 * @id:		the name
 *
 * Context: ksplice_mutex held.
 *
 * Return: 0; -EEXIST; -EBUSY if it is just being forgotten; -ENOSPC.
 */
int ksplice_may_add(const char *id)
{
	struct ksplice_entry *entry;
	u32 entries = 0;

	list_for_each_entry(entry, &ksplice_entries, list) {
		if (!strcmp(entry->id, id))
			return entry->forgotten ? -EBUSY : -EEXIST;
		entries++;
	}
	return entries < KSPLICE_ENTRIES_MAX ? 0 : -ENOSPC;
}

/* Context: ksplice_mutex held. */
void ksplice_link(struct ksplice_entry *entry)
{
	spin_lock(&ksplice_lists_lock);
	list_add_tail(&entry->list, &ksplice_entries);
	spin_unlock(&ksplice_lists_lock);
}

/* Context: ksplice_mutex held.  Also lets the pinned modules go. */
void ksplice_unlink(struct ksplice_entry *entry)
{
	spin_lock(&ksplice_lists_lock);
	list_del_init(&entry->list);
	ksplice_unpin_all(entry);
	spin_unlock(&ksplice_lists_lock);
}

/**
 * ksplice_register() - an update module hands itself in, from its init
 * @update: lives as long as the module
 *
 * Return: 0; -ENOENT if user space has not created the entry; -EBUSY; -EINVAL.
 */
int ksplice_register(const struct ksplice_update *update)
{
	struct ksplice_entry *entry;
	int ret;

	ret = ksplice_check_bounds(update);
	if (ret)
		return ret;
	mutex_lock(&ksplice_mutex);
	entry = ksplice_find(update->id);
	if (!entry)
		ret = -ENOENT;
	else if (entry->update || entry->switching)
		ret = -EBUSY;
	else
		ret = ksplice_validate(entry, update);
	if (!ret)
		entry->update = update;
	mutex_unlock(&ksplice_mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(ksplice_register);

/* From the module's exit: it is not applied, or its reference would have kept it. */
void ksplice_unregister(const struct ksplice_update *update)
{
	struct ksplice_entry *entry;

	mutex_lock(&ksplice_mutex);
	entry = ksplice_find(update->id);
	if (entry && entry->update == update)
		entry->update = NULL;
	mutex_unlock(&ksplice_mutex);
}
EXPORT_SYMBOL_GPL(ksplice_unregister);
