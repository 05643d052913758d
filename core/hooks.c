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
 *
 * Several updates in one stop: each of these is one round through all of them, in
 * their order.  If the switch is not made, the updates whose pre hooks were reached
 * hear of it, the last one first; those behind the one that refused never began.
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

static bool ksplice_ask_hooks_of(struct ksplice_switch *sw, const struct ksplice_update *update,
				 enum ksplice_moment moment)
{
	enum ksplice_hook_kind kind = ksplice_hook_kind(sw, moment);
	u32 i;

	for (i = 0; i < update->nr_hooks; i++) {
		const struct ksplice_hook *hook = &update->hooks[i];

		if (hook->kind != kind)
			continue;
		sw->hook_result = ((int (*)(void))hook->function)();
		if (!sw->hook_result)
			continue;
		sw->cause = KSPLICE_CALL_FAILED;
		sw->failed_hook = hook;
		sw->failed_update = update;
		return false;
	}
	return true;
}

static void ksplice_tell_hooks_of(const struct ksplice_switch *sw,
				  const struct ksplice_update *update,
				  enum ksplice_moment moment)
{
	enum ksplice_hook_kind kind = ksplice_hook_kind(sw, moment);
	u32 i;

	for (i = 0; i < update->nr_hooks; i++) {
		const struct ksplice_hook *hook = &update->hooks[i];

		if (hook->kind == kind)
			((void (*)(void))hook->function)();
	}
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
	u32 i;

	for (i = 0; i < sw->nr_updates; i++) {
		if (moment == KSPLICE_MOMENT_PRE)
			sw->nr_asked = i + 1;
		if (!ksplice_ask_hooks_of(sw, sw->updates[i], moment))
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
	u32 i;

	if (moment == KSPLICE_MOMENT_FAIL) {
		for (i = sw->nr_asked; i--;)
			ksplice_tell_hooks_of(sw, sw->updates[i], moment);
		return;
	}
	for (i = 0; i < sw->nr_updates; i++)
		ksplice_tell_hooks_of(sw, sw->updates[i], moment);
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
