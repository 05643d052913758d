// SPDX-License-Identifier: GPL-2.0
/*
 * An update's life: created, pinned, registered, applied, reversed, forgotten.
 *
 *	preparing --applied--> applied --reversed--> reversed --applied--> ...
 *
 * References: an entry holds the core from `create` to `forget`, and every
 * pinned module as long.  An applied update holds its own module, so that it
 * cannot be unloaded; a resident one holds it for good.
 *
 * ksplice_mutex protects the list and all entries.  A change of stage sets
 * entry->switching and lets go of the mutex, so that the seconds between
 * attempts hold nothing; who finds the flag set gets -EBUSY.
 * ksplice_lists_lock is a leaf lock for what the module notifier reads, which may
 * take nothing else: the list of entries and their pins.  Writers hold both.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/delay.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

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

/**
 * ksplice_pin() - keep a module from being unloaded until `forget`
 * @entry:	in stage preparing or reversed
 * @name:	as in /proc/modules; pinning twice is no error
 *
 * Context: ksplice_mutex held.
 *
 * Return: 0, -ENOENT (cause target_not_loaded), see ksplice_may_pin(), or -ENOMEM.
 */
int ksplice_pin(struct ksplice_entry *entry, const char *name)
{
	struct ksplice_pin *pin;
	struct module *module;
	int ret;

	ret = ksplice_may_pin(entry, name);
	if (ret)
		return ret;
	list_for_each_entry(pin, &entry->pins, list) {
		if (!strcmp(pin->name, name))
			return 0;
	}
	pin = kzalloc(sizeof(*pin), GFP_KERNEL);
	if (!pin)
		return -ENOMEM;
	strscpy(pin->name, name, sizeof(pin->name));

	mutex_lock(&module_mutex);
	module = find_module(name);
	if (module && module->state == MODULE_STATE_LIVE && try_module_get(module))
		pin->module = module;
	mutex_unlock(&module_mutex);

	if (!pin->module && !entry->partial) {
		kfree(pin);
		entry->cause = KSPLICE_TARGET_NOT_LOADED;
		return -ENOENT;
	}
	spin_lock(&ksplice_lists_lock);
	list_add_tail(&pin->list, &entry->pins);
	spin_unlock(&ksplice_lists_lock);
	return 0;
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
	struct ksplice_pin *pin, *next;

	spin_lock(&ksplice_lists_lock);
	list_del_init(&entry->list);
	list_for_each_entry_safe(pin, next, &entry->pins, list) {
		if (pin->module && !pin->gone)
			module_put(pin->module);
		list_del(&pin->list);
		kfree(pin);
	}
	spin_unlock(&ksplice_lists_lock);
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
			if (pin->module != module)
				continue;
			pin->gone = true;
			pr_warn("%s: module %s was unloaded by force; the update stays as it is\n",
				entry->id, pin->name);
		}
	}
	spin_unlock(&ksplice_lists_lock);
}

static bool ksplice_pin_gone(struct ksplice_entry *entry)
{
	struct ksplice_pin *pin;
	bool gone = false;

	spin_lock(&ksplice_lists_lock);
	list_for_each_entry(pin, &entry->pins, list)
		gone |= pin->gone;
	spin_unlock(&ksplice_lists_lock);
	return gone;
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

/**
 * ksplice_out_of_order() - who forbids this change of stage
 * @entry:	whose stage is to change
 * @direction:	where to
 *
 * An update on top of another one replaces functions of that one's module, and has
 * pinned it.  The lower one is applied as long as the upper one is, or what the
 * upper one replaces is not what is called.
 *
 * Context: ksplice_mutex held, and again when the stage is told (ksplice_commit()):
 * in between, entry->switching stands for the stage that is to come.
 *
 * Return: the other update, or NULL.
 */
static const struct ksplice_entry *ksplice_out_of_order(const struct ksplice_entry *entry,
							enum ksplice_direction direction)
{
	const struct ksplice_entry *other;

	list_for_each_entry(other, &ksplice_entries, list) {
		if (other == entry || !other->update)
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

/* One line for each task: its name, its number, and the functions it was in.
 * Whole lines only, as many as fit.
 */
static void ksplice_print_conflicts(struct ksplice_entry *entry, const struct ksplice_switch *sw)
{
	size_t length = 0;
	u32 i, j;

	entry->conflicts[0] = 0;
	for (i = 0; i < sw->nr_conflicts; i++) {
		const struct ksplice_conflict *first = &sw->conflicts[i];
		size_t line = length;

		if (i && first[-1].pid == first->pid)
			continue;
		line += scnprintf(entry->conflicts + line, PAGE_SIZE - line, "%s %d",
				  first->comm, first->pid);
		for (j = i; j < sw->nr_conflicts && sw->conflicts[j].pid == first->pid; j++)
			line += ksplice_print_place(entry->conflicts + line, PAGE_SIZE - line,
						    sw, &sw->conflicts[j]);
		if (line + 2 > PAGE_SIZE) {
			entry->conflicts[length] = 0;
			return;
		}
		entry->conflicts[line++] = '\n';
		entry->conflicts[line] = 0;
		length = line;
	}
}

/* From here on no module that the update skipped can come (skipped.c), or it can again. */
static void ksplice_set_switching(struct ksplice_entry *entry, bool switching)
{
	spin_lock(&ksplice_lists_lock);
	entry->switching = switching;
	spin_unlock(&ksplice_lists_lock);
}

static bool ksplice_worth_retrying(enum ksplice_abort cause)
{
	return cause == KSPLICE_CODE_BUSY || cause == KSPLICE_UNEXPECTED_RUNNING_TASK;
}

/* What `debug` asks for. */
static void ksplice_log_attempt(const struct ksplice_entry *entry, const struct ksplice_switch *sw)
{
	pr_info("%s: %s, attempt %u: %s; %u tasks had not run, %u looked at, %u scanned; %llu us\n",
		entry->id, sw->direction == KSPLICE_APPLY ? "apply" : "undo", entry->attempts,
		ksplice_abort_name(sw->cause), sw->prechecked, sw->tasks, sw->scanned,
		sw->call_ns / 1000);
	ksplice_stacks_print(entry->id, sw);
}

static void ksplice_run_attempts(struct ksplice_entry *entry, struct ksplice_switch *sw)
{
	u32 attempt;

	if (entry->debug)
		ksplice_stacks_alloc(sw);
	for (attempt = 1; attempt <= KSPLICE_ATTEMPTS; attempt++) {
		entry->attempts = attempt;
		/* Pre hooks and the pauses between attempts take their time. */
		if (ksplice_pin_gone(entry)) {
			sw->cause = KSPLICE_TARGET_NOT_LOADED;
			return;
		}
		ksplice_attempt(sw);
		if (entry->debug)
			ksplice_log_attempt(entry, sw);
		if (sw->bad_name)
			pr_warn("%s: %s: unexpected byte at %pS\n", entry->id, sw->bad_name,
				(void *)sw->bad_addr);
		if (!ksplice_worth_retrying(sw->cause) || attempt == KSPLICE_ATTEMPTS)
			return;
		if (msleep_interruptible(1000))
			return;
	}
}

/*
 * The new code may be unloaded after this.  The safe point has shown that no task
 * was in it; what is left are those who were about to follow a pointer to it that
 * they had read before: ftrace's and BPF's trampolines (tasks), callbacks queued
 * by it (rcu_barrier).
 */
static void ksplice_wait_for_users(void)
{
	synchronize_rcu_tasks();
	rcu_barrier();
	rcu_barrier_tasks();
}

static void ksplice_commit(struct ksplice_entry *entry, struct ksplice_switch *sw)
{
	bool apply = sw->direction == KSPLICE_APPLY;

	entry->stage = apply ? KSPLICE_APPLIED : KSPLICE_REVERSED;
	entry->stopped_ns = sw->stopped_ns;
	entry->call_ns = sw->call_ns;
	entry->tasks = sw->tasks;
	entry->scanned = sw->scanned;
	entry->prechecked = sw->prechecked;
	if (apply)
		add_taint(TAINT_LIVEPATCH, LOCKDEP_STILL_OK);
	pr_notice("update %s %s: %u function%s, stopped %llu us, attempt %u\n", entry->id,
		  apply ? "applied" : "reversed", sw->nr_sites, sw->nr_sites == 1 ? "" : "s",
		  sw->stopped_ns / 1000, entry->attempts);
}

static void ksplice_note_failed_hook(struct ksplice_entry *entry, const struct ksplice_switch *sw)
{
	if (sw->cause != KSPLICE_CALL_FAILED)
		return;
	strscpy(entry->failed_hook, sw->failed_hook->name, sizeof(entry->failed_hook));
	entry->hook_result = sw->hook_result;
	pr_warn("%s: hook %s returned %d\n", entry->id, entry->failed_hook, entry->hook_result);
}

/**
 * ksplice_change_stage() - apply or reverse
 * @entry:	pinned by the caller's sysfs access
 * @direction:	where to
 *
 * Context: ksplice_mutex held on entry and on return, but not all the time.
 *
 * Return: 0; -EINVAL for a change that the stage does not allow; -EBUSY while
 * another is under way; -EAGAIN or another error with the reason in cause.
 */
int ksplice_change_stage(struct ksplice_entry *entry, enum ksplice_direction direction)
{
	const struct ksplice_update *update = entry->update;
	const struct ksplice_entry *other;
	struct ksplice_switch *sw;
	bool is_applied = entry->stage == KSPLICE_APPLIED;
	bool apply = direction == KSPLICE_APPLY;

	if (entry->switching)
		return -EBUSY;
	if (!update || apply == is_applied)
		return -EINVAL;
	entry->cause = KSPLICE_UNEXPECTED;
	entry->conflicts[0] = 0;
	entry->failed_hook[0] = 0;
	entry->hook_result = 0;
	/* No hibernation image is being written or read, no shutdown under way. */
	if (system_state != SYSTEM_RUNNING)
		return -EAGAIN;
	if (ksplice_pin_gone(entry)) {
		entry->cause = KSPLICE_TARGET_NOT_LOADED;
		return -ENOENT;
	}
	other = ksplice_out_of_order(entry, direction);
	if (other) {
		pr_err("%s: %s, which %s, is %sapplied\n", entry->id, other->id,
		       apply ? "it is on top of" : "is on top of it", apply ? "not " : "");
		entry->cause = KSPLICE_MODULE_BUSY;
		return -EBUSY;
	}
	if (apply) {
		int ret = ksplice_validate(entry, update);

		if (ret) {
			entry->cause = ret == -EBUSY ? KSPLICE_MODULE_BUSY : KSPLICE_UNEXPECTED;
			return ret;
		}
	}
	sw = ksplice_switch_alloc(update, direction);
	if (!sw) {
		entry->cause = KSPLICE_OUT_OF_MEMORY;
		return -ENOMEM;
	}
	if (apply && !try_module_get(update->owner)) {
		ksplice_switch_free(sw);
		entry->cause = KSPLICE_MODULE_BUSY;
		return -EBUSY;
	}

	ksplice_set_switching(entry, true);
	entry->cause = ksplice_check_skipped(entry, direction);
	if (entry->cause != KSPLICE_OK) {
		ksplice_set_switching(entry, false);
		if (apply)
			module_put(update->owner);
		ksplice_switch_free(sw);
		return -EAGAIN;
	}
	mutex_unlock(&ksplice_mutex);
	if (ksplice_ask_hooks(sw, KSPLICE_MOMENT_PRE))
		ksplice_run_attempts(entry, sw);

	/* The stage is told before hooks are called that may take their time. */
	mutex_lock(&ksplice_mutex);
	entry->cause = sw->cause;
	ksplice_print_conflicts(entry, sw);
	ksplice_note_failed_hook(entry, sw);
	if (sw->cause == KSPLICE_OK)
		ksplice_commit(entry, sw);
	mutex_unlock(&ksplice_mutex);

	ksplice_tell_hooks(sw, sw->cause == KSPLICE_OK ? KSPLICE_MOMENT_POST : KSPLICE_MOMENT_FAIL);
	if (!apply && sw->cause == KSPLICE_OK && !(update->flags & KSPLICE_UPDATE_RESIDENT))
		ksplice_wait_for_users();
	mutex_lock(&ksplice_mutex);
	ksplice_set_switching(entry, false);
	/* A resident update keeps its reference: see KSPLICE_UPDATE_RESIDENT. */
	if (apply ? sw->cause != KSPLICE_OK :
		    sw->cause == KSPLICE_OK && !(update->flags & KSPLICE_UPDATE_RESIDENT))
		module_put(update->owner);
	ksplice_switch_free(sw);
	return entry->cause == KSPLICE_OK ? 0 : -EAGAIN;
}
