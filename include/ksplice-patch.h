/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For authors of updates: code that runs when an update is applied or undone.
 *
 * An update replaces functions.  It does not touch data that the kernel has been
 * using since it booted.  Where a patch relies on other data (another initial
 * value, another entry in a table), a hook brings it about.  Include this file in
 * the patched source, below its other includes, and name functions of the patch:
 *
 *	#include <ksplice-patch.h>
 *
 *	static unsigned int old_limit;
 *
 *	static void raise_limit(void)
 *	{
 *		old_limit = limit;
 *		limit = 200;
 *	}
 *	ksplice_apply(raise_limit);
 *
 *	static void restore_limit(void)
 *	{
 *		limit = old_limit;
 *	}
 *	ksplice_reverse(restore_limit);
 *
 * When they are called, and what they may do (core/hooks.c):
 *
 *	ksplice_pre_apply	returns int.  Before the first attempt; may sleep.
 *				Anything but 0 gives the update up.
 *	ksplice_check_apply	returns int.  All processors are stopped, no thread
 *				is in code that is replaced, nothing is changed
 *				yet; in every attempt.  Must not sleep, allocate,
 *				print, or wait for a lock.  Anything but 0 gives
 *				the update up.
 *	ksplice_apply		All processors are still stopped, and the new code
 *				is in force.  Must not either.
 *	ksplice_post_apply	After that; may sleep.
 *	ksplice_fail_apply	In place of post, if the update was not applied; may
 *				sleep.  Also called when a pre hook refused: those
 *				behind it, and perhaps what this one takes back,
 *				never ran.
 *
 * and the same five for undo: ksplice_pre_reverse, ksplice_check_reverse,
 * ksplice_reverse (the old code is in force again), ksplice_post_reverse,
 * ksplice_fail_reverse (the update is still applied).  Hooks of one kind
 * are called in the order in which they stand in the file.
 *
 * A direct call from a hook to a function that the update replaces goes to the new
 * code, in force or not.  So hooks that run while the old code is in force (pre,
 * check and fail of apply; ksplice_reverse and post of undo) may not have any.
 */
#ifndef KSPLICE_PATCH_H
#define KSPLICE_PATCH_H

/* The type of the pointer makes the compiler check the function's.  The compiler
 * puts variables in an order of its own; the line says which comes first.
 */
#define __KSPLICE_HOOK(kind, type, fn)						\
	static const struct {							\
		type (*function)(void);						\
		unsigned long line;						\
	} __ksplice_##kind##_##fn						\
	__attribute__((__used__, __section__(".ksplice_call_" #kind))) =	\
		{ fn, __LINE__ }

#define ksplice_pre_apply(fn)		__KSPLICE_HOOK(pre_apply, int, fn)
#define ksplice_check_apply(fn)		__KSPLICE_HOOK(check_apply, int, fn)
#define ksplice_apply(fn)		__KSPLICE_HOOK(apply, void, fn)
#define ksplice_post_apply(fn)		__KSPLICE_HOOK(post_apply, void, fn)
#define ksplice_fail_apply(fn)		__KSPLICE_HOOK(fail_apply, void, fn)

#define ksplice_pre_reverse(fn)		__KSPLICE_HOOK(pre_reverse, int, fn)
#define ksplice_check_reverse(fn)	__KSPLICE_HOOK(check_reverse, int, fn)
#define ksplice_reverse(fn)		__KSPLICE_HOOK(reverse, void, fn)
#define ksplice_post_reverse(fn)	__KSPLICE_HOOK(post_reverse, void, fn)
#define ksplice_fail_reverse(fn)	__KSPLICE_HOOK(fail_reverse, void, fn)

#endif /* KSPLICE_PATCH_H */
