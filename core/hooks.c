// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks: functions of the update's author, called around a change of stage.
 *
 *	pre	once, before the first attempt; may sleep, may refuse
 *	check	in every attempt, inside the stop, when no thread is in the way and
 *		nothing is written yet; may refuse
 *	(none)	inside the stop, after the last byte was written
 *	post	once, after the switch; may sleep
 *	fail	once, in place of post, if the switch was not made; may sleep
 *
 * No lock is held around pre, post and fail: they may allocate, register, toggle
 * static keys.  Those inside the stop run on one CPU with interrupts off, while
 * all others wait: no sleeping, no lock that somebody may hold, no allocation.  One
 * that sleeps hangs the machine: the CPU that waits for the others is among those.
 *
 * A fail hook is called though the pre hook before it, or even its own, was never
 * reached: it has to look at what there is to take back.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include "core.h"

static enum ksplice_hook_kind ksplice_hook_kind(const struct ksplice_switch *sw,
						enum ksplice_moment moment)
{
	u32 first = sw->direction == KSPLICE_APPLY ? KSPLICE_HOOK_PRE_APPLY :
						     KSPLICE_HOOK_PRE_REVERSE;

	return first + moment;
}

/**
 * ksplice_ask_hooks() - call hooks that may refuse, up to the first that does
 * @sw:		gets the cause, the hook and its result
 * @moment:	KSPLICE_MOMENT_PRE or KSPLICE_MOMENT_CHECK
 *
 * Context: see above; prints nothing, since it may be inside the stop.
 *
 * Return: true if none refused.
 */
bool ksplice_ask_hooks(struct ksplice_switch *sw, enum ksplice_moment moment)
{
	enum ksplice_hook_kind kind = ksplice_hook_kind(sw, moment);
	u32 i;

	for (i = 0; i < sw->update->nr_hooks; i++) {
		const struct ksplice_hook *hook = &sw->update->hooks[i];

		if (hook->kind != kind)
			continue;
		sw->hook_result = ((int (*)(void))hook->function)();
		if (!sw->hook_result)
			continue;
		sw->cause = KSPLICE_CALL_FAILED;
		sw->failed_hook = hook;
		return false;
	}
	return true;
}

/**
 * ksplice_tell_hooks() - call hooks that cannot refuse
 * @sw:		unchanged
 * @moment:	KSPLICE_MOMENT_SWITCHED, KSPLICE_MOMENT_POST or KSPLICE_MOMENT_FAIL
 */
void ksplice_tell_hooks(const struct ksplice_switch *sw, enum ksplice_moment moment)
{
	enum ksplice_hook_kind kind = ksplice_hook_kind(sw, moment);
	u32 i;

	for (i = 0; i < sw->update->nr_hooks; i++) {
		const struct ksplice_hook *hook = &sw->update->hooks[i];

		if (hook->kind == kind)
			((void (*)(void))hook->function)();
	}
}

/**
 * ksplice_check_hook() - is it one that this core can call?
 * @update:	whose
 * @hook:	one of them
 *
 * Return: NULL, or what is wrong with it.
 */
const char *ksplice_check_hook(const struct ksplice_update *update,
			       const struct ksplice_hook *hook)
{
	if (hook->kind >= KSPLICE_HOOK_KINDS)
		return "unknown kind of hook";
	if (!ksplice_within_text(update->owner, hook->function))
		return "the hook lies outside the update module's code";
	return NULL;
}
