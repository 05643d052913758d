// SPDX-License-Identifier: GPL-2.0
/*
 * A change of stage, of one update or of several in one stop.
 *
 * All of them are switched or none: every check is made of all before the first
 * hook is called, all hooks of one moment are called before the next moment comes,
 * and inside the stop nothing is written unless nobody is in any of the code and
 * all bytes of all are as expected.  One update is a list of one.
 *
 *	check	all		ksplice_mutex held; from here on all are `switching`
 *	pre	each, in order	nothing held
 *	stop	all		safe point, check hooks, bytes, writing, hooks
 *	post	each, in order	nothing held; or, if anything before refused,
 *	fail	those whose pre hooks were reached, the last one first
 *
 * Lifetime: an entry that is `switching` cannot be forgotten, and its update's
 * module is held: by the reference that `applied` holds, or at apply by the one that
 * is taken here and becomes that one.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "core.h"
#include "grace.h"

/* Of changes that were made; ksplice_mutex. */
static u64 ksplice_switched;

/* From here on no module that an update skipped can come (skipped.c), or it can again. */
static void ksplice_set_switching(const struct ksplice_list *list, bool switching)
{
	u32 i;

	spin_lock(&ksplice_lists_lock);
	for (i = 0; i < list->count; i++)
		list->entries[i]->switching = switching;
	spin_unlock(&ksplice_lists_lock);
}

/* The one reason why none of them was switched. */
static void ksplice_set_cause(const struct ksplice_list *list, enum ksplice_abort cause)
{
	u32 i;

	for (i = 0; i < list->count; i++)
		list->entries[i]->cause = cause;
}

static int ksplice_refuse(const struct ksplice_list *list, enum ksplice_abort cause, int ret)
{
	ksplice_set_cause(list, cause);
	return ret;
}

static bool ksplice_any_debug(const struct ksplice_list *list)
{
	u32 i;

	for (i = 0; i < list->count; i++) {
		if (list->entries[i]->debug)
			return true;
	}
	return false;
}

static bool ksplice_worth_retrying(enum ksplice_abort cause)
{
	return cause == KSPLICE_CODE_BUSY || cause == KSPLICE_UNEXPECTED_RUNNING_TASK;
}

static void ksplice_run_attempts(const struct ksplice_list *list, struct ksplice_switch *sw)
{
	bool debug = ksplice_any_debug(list);
	u32 i, attempt;

	if (debug)
		ksplice_stacks_alloc(sw);
	for (attempt = 1; attempt <= KSPLICE_ATTEMPTS; attempt++) {
		for (i = 0; i < list->count; i++)
			list->entries[i]->attempts = attempt;
		/* Pre hooks and the pauses between attempts take their time. */
		if (ksplice_any_pin_gone(list)) {
			sw->cause = KSPLICE_TARGET_NOT_LOADED;
			return;
		}
		ksplice_attempt(sw);
		if (debug)
			ksplice_log_attempt(list, sw);
		if (sw->bad_name)
			pr_warn("%s: %s: unexpected byte at %pS\n", sw->bad_id, sw->bad_name,
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
	ksplice_wait_for_tasks();
	rcu_barrier();
	rcu_barrier_tasks();
}

/* After undo its reference goes; a resident one keeps it, see KSPLICE_UPDATE_RESIDENT. */
static bool ksplice_may_unload(const struct ksplice_update *update)
{
	return !(update->flags & KSPLICE_UPDATE_RESIDENT);
}

static void ksplice_commit(struct ksplice_entry *entry, const struct ksplice_switch *sw)
{
	bool apply = sw->direction == KSPLICE_APPLY;
	u32 functions = entry->update->nr_functions;

	entry->stage = apply ? KSPLICE_APPLIED : KSPLICE_REVERSED;
	entry->switched = ksplice_switched;
	entry->stopped_ns = sw->stopped_ns;
	entry->call_ns = sw->call_ns;
	entry->tasks = sw->tasks;
	entry->scanned = sw->scanned;
	entry->prechecked = sw->prechecked;
	if (apply)
		add_taint(TAINT_LIVEPATCH, LOCKDEP_STILL_OK);
	pr_notice("update %s %s: %u function%s, stopped %llu us, attempt %u\n", entry->id,
		  apply ? "applied" : "reversed", functions, functions == 1 ? "" : "s",
		  sw->stopped_ns / 1000, entry->attempts);
}

static void ksplice_note_failed_hook(struct ksplice_entry *entry, const struct ksplice_switch *sw)
{
	if (sw->cause != KSPLICE_CALL_FAILED || sw->failed_update != entry->update)
		return;
	strscpy(entry->failed_hook, sw->failed_hook->name, sizeof(entry->failed_hook));
	entry->hook_result = sw->hook_result;
	pr_warn("%s: hook %s returned %d\n", entry->id, entry->failed_hook, entry->hook_result);
}

/* What came of it, told before hooks are called that may take their time. */
static void ksplice_tell(const struct ksplice_list *list, const struct ksplice_switch *sw)
{
	u32 i;

	if (sw->cause == KSPLICE_OK)
		ksplice_switched++;
	ksplice_set_cause(list, sw->cause);
	for (i = 0; i < list->count; i++) {
		ksplice_print_conflicts(list->entries[i], sw);
		ksplice_note_failed_hook(list->entries[i], sw);
		if (sw->cause == KSPLICE_OK)
			ksplice_commit(list->entries[i], sw);
	}
}

/* Is it a change that the stages allow?  Nobody's account of an earlier one is touched. */
static int ksplice_is_change(const struct ksplice_list *list, enum ksplice_direction direction)
{
	bool apply = direction == KSPLICE_APPLY;
	u32 i, j;

	for (i = 0; i < list->count; i++) {
		for (j = 0; j < i; j++) {
			if (list->entries[i] == list->entries[j])
				return -EINVAL;
		}
		if (list->entries[i]->switching)
			return -EBUSY;
	}
	for (i = 0; i < list->count; i++) {
		bool is_applied = list->entries[i]->stage == KSPLICE_APPLIED;

		if (!list->entries[i]->update || is_applied == apply)
			return -EINVAL;
	}
	return 0;
}

/* Each of them is within these bounds (bounds.c). */
static bool ksplice_too_many(const struct ksplice_list *list)
{
	u64 functions = 0, ranges = 0, hooks = 0;
	u32 i, j;

	for (i = 0; i < list->count; i++) {
		const struct ksplice_update *update = list->entries[i]->update;

		functions += update->nr_functions;
		hooks += update->nr_hooks;
		for (j = 0; j < update->nr_functions; j++)
			ranges += update->functions[j].nr_ranges;
	}
	return functions > KSPLICE_FUNCTIONS_MAX || ranges > KSPLICE_RANGES_MAX ||
	       hooks > KSPLICE_HOOKS_MAX;
}

static int ksplice_may_change(const struct ksplice_list *list, enum ksplice_direction direction)
{
	bool apply = direction == KSPLICE_APPLY;
	u32 i;

	/* No hibernation image is being written or read, no shutdown under way. */
	if (system_state != SYSTEM_RUNNING)
		return ksplice_refuse(list, KSPLICE_UNEXPECTED, -EAGAIN);
	if (ksplice_too_many(list))
		return ksplice_refuse(list, KSPLICE_UNEXPECTED, -E2BIG);
	if (ksplice_any_pin_gone(list))
		return ksplice_refuse(list, KSPLICE_TARGET_NOT_LOADED, -ENOENT);
	for (i = 0; i < list->count; i++) {
		const struct ksplice_entry *other = ksplice_out_of_order(list, i, direction);

		if (!other)
			continue;
		pr_err("%s: %s, which %s, is %sapplied\n", list->entries[i]->id, other->id,
		       apply ? "it is on top of" : "is on top of it", apply ? "not " : "");
		return ksplice_refuse(list, KSPLICE_MODULE_BUSY, -EBUSY);
	}
	return 0;
}

/* All are `switching`: each finds the others as if they were applied. */
static int ksplice_validate_all(const struct ksplice_list *list, enum ksplice_direction direction)
{
	u32 i;

	for (i = 0; i < list->count; i++) {
		struct ksplice_entry *entry = list->entries[i];
		enum ksplice_abort cause = ksplice_check_skipped(entry, direction);
		int ret;

		if (cause != KSPLICE_OK)
			return ksplice_refuse(list, cause, -EAGAIN);
		if (direction == KSPLICE_UNDO)
			continue;
		ret = ksplice_validate(entry, entry->update);
		if (ret == -EBUSY)
			return ksplice_refuse(list, KSPLICE_MODULE_BUSY, ret);
		if (ret)
			return ksplice_refuse(list, KSPLICE_UNEXPECTED, ret);
	}
	return 0;
}

static void ksplice_put_modules(const struct ksplice_list *list, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++)
		module_put(list->entries[i]->update->owner);
}

static bool ksplice_get_modules(const struct ksplice_list *list)
{
	u32 i;

	for (i = 0; i < list->count; i++) {
		if (try_module_get(list->entries[i]->update->owner))
			continue;
		ksplice_put_modules(list, i);
		return false;
	}
	return true;
}

/* Context: ksplice_mutex held, but let go meanwhile. */
static void ksplice_switch_all(const struct ksplice_list *list, struct ksplice_switch *sw)
{
	bool wait = false;
	u32 i;

	mutex_unlock(&ksplice_mutex);
	if (ksplice_ask_hooks(sw, KSPLICE_MOMENT_PRE))
		ksplice_run_attempts(list, sw);

	mutex_lock(&ksplice_mutex);
	ksplice_tell(list, sw);
	mutex_unlock(&ksplice_mutex);

	ksplice_tell_hooks(sw, sw->cause == KSPLICE_OK ? KSPLICE_MOMENT_POST : KSPLICE_MOMENT_FAIL);
	for (i = 0; i < sw->nr_updates; i++)
		wait |= ksplice_may_unload(sw->updates[i]);
	if (wait && sw->direction == KSPLICE_UNDO && sw->cause == KSPLICE_OK)
		ksplice_wait_for_users();
	mutex_lock(&ksplice_mutex);
}

/* Context: ksplice_mutex held. */
static void ksplice_put_reversed(const struct ksplice_list *list)
{
	u32 i;

	for (i = 0; i < list->count; i++) {
		const struct ksplice_update *update = list->entries[i]->update;

		if (ksplice_may_unload(update))
			module_put(update->owner);
	}
}

/**
 * ksplice_change_stage() - apply or reverse, all of them or none
 * @list:	entries that cannot be freed as long as ksplice_mutex is held
 * @direction:	where to
 *
 * Context: ksplice_mutex held on entry and on return, but not all the time.
 *
 * Return: 0; -EINVAL for a change that a stage does not allow, or an entry that is
 * there twice; -EBUSY while another change is under way; -EAGAIN or another error
 * with the reason in the cause of all.
 */
int ksplice_change_stage(const struct ksplice_list *list, enum ksplice_direction direction)
{
	bool apply = direction == KSPLICE_APPLY;
	struct ksplice_switch *sw;
	int ret;
	u32 i;

	ret = ksplice_is_change(list, direction);
	if (ret)
		return ret;
	for (i = 0; i < list->count; i++) {
		list->entries[i]->conflicts[0] = 0;
		list->entries[i]->failed_hook[0] = 0;
		list->entries[i]->hook_result = 0;
	}
	ret = ksplice_may_change(list, direction);
	if (ret)
		return ret;

	ksplice_set_switching(list, true);
	ret = ksplice_validate_all(list, direction);
	if (ret)
		goto out;
	sw = ksplice_switch_alloc(list, direction);
	if (!sw) {
		ret = ksplice_refuse(list, KSPLICE_OUT_OF_MEMORY, -ENOMEM);
		goto out;
	}
	if (apply && !ksplice_get_modules(list)) {
		ret = ksplice_refuse(list, KSPLICE_MODULE_BUSY, -EBUSY);
		goto out_free;
	}
	ksplice_switch_all(list, sw);
	if (sw->cause != KSPLICE_OK)
		ret = -EAGAIN;
	if (apply && ret)
		ksplice_put_modules(list, list->count);
	if (!apply && !ret)
		ksplice_put_reversed(list);
out_free:
	ksplice_switch_free(sw);
out:
	ksplice_set_switching(list, false);
	return ret;
}
