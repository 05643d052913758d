/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The boundary between the core and an update module, and the core's own parts.
 *
 * An update module is linked on the machine that it updates.  It carries
 * &struct ksplice_update, whose tables were filled in by the linker from what
 * run-pre matching found in this kernel's memory.  Whatever changes the layout
 * or the meaning of these structures changes KSPLICE_INTERFACE; a core of
 * another interface refuses the update.
 */
#ifndef KSPLICE_H
#define KSPLICE_H

#include <linux/types.h>

struct module;

#define KSPLICE_INTERFACE	4
#define KSPLICE_ID_MAX		32

/* The range is entered at its start by calls: a word that equals the start is
 * a function pointer, not a return address, and keeps nobody busy.  Parts
 * without an entry of their own (.cold) do not have this flag.
 */
#define KSPLICE_RANGE_ENTRY	BIT(0)

/* The address of a new function or object may be kept by the kernel beyond an
 * undo, so the module stays loaded ("reversed, resident").
 */
#define KSPLICE_UPDATE_RESIDENT	BIT(0)

/**
 * struct ksplice_range - a piece of the old code of a function
 * @start:	run address of its first byte
 * @size:	bytes
 * @flags:	KSPLICE_RANGE_*
 * @body:	the bytes that run-pre matching found there, @size of them
 * @mask:	0xff where a byte must be as in @body, 0 where the kernel may
 *		rewrite it at any time (ftrace, jump label, static call, lock prefix)
 */
struct ksplice_range {
	unsigned long	start;
	u32		size;
	u32		flags;
	const u8	*body;
	const u8	*mask;
};

/**
 * struct ksplice_function - one function that the update replaces
 * @name:	for people
 * @new_addr:	the replacement, in the update module's text
 * @ranges:	the old code; the first range is the function itself, the others
 *		its cold parts
 * @nr_ranges:	at least 1
 * @site_offset: where in the first range the jump is written: 5 after an ftrace
 *		entry, 0 where there is none
 * @site_size:	bytes overwritten there: whole instructions, at least 5
 */
struct ksplice_function {
	const char			*name;
	unsigned long			new_addr;
	const struct ksplice_range	*ranges;
	u32				nr_ranges;
	u32				site_offset;
	u32				site_size;
	u32				reserved;
};

/* When a hook is called (hooks.c); include/ksplice-patch.h makes them. */
enum ksplice_hook_kind {
	KSPLICE_HOOK_PRE_APPLY,
	KSPLICE_HOOK_CHECK_APPLY,
	KSPLICE_HOOK_APPLY,
	KSPLICE_HOOK_POST_APPLY,
	KSPLICE_HOOK_FAIL_APPLY,
	KSPLICE_HOOK_PRE_REVERSE,
	KSPLICE_HOOK_CHECK_REVERSE,
	KSPLICE_HOOK_REVERSE,
	KSPLICE_HOOK_POST_REVERSE,
	KSPLICE_HOOK_FAIL_REVERSE,
	KSPLICE_HOOK_KINDS,
};

/**
 * struct ksplice_hook - a function of the update's author
 * @kind:	enum ksplice_hook_kind; pre and check ones return int, the others
 *		nothing; none takes arguments
 * @name:	for people
 * @function:	in the update module's text
 */
struct ksplice_hook {
	u32		kind;
	u32		reserved;
	const char	*name;
	unsigned long	function;
};

/**
 * struct ksplice_update - what an update module hands to the core
 * @owner:	the module; its text is what must be idle before an undo
 * @id:		the update's name, as in /sys/kernel/ksplice/ID
 * @functions:	what is replaced
 * @hooks:	in the order in which those of one kind are called
 * @nr_functions: 0 only if there are hooks
 * @nr_hooks:	number of @hooks
 * @interface:	KSPLICE_INTERFACE
 * @flags:	KSPLICE_UPDATE_*
 */
struct ksplice_update {
	struct module			*owner;
	const char			*id;
	const struct ksplice_function	*functions;
	const struct ksplice_hook	*hooks;
	u32				nr_functions;
	u32				nr_hooks;
	u32				interface;
	u32				flags;
};

/* Defined by the linker on the machine (src/link/update-tables.ts). */
extern const char ksplice_update_id[];
extern const struct ksplice_function ksplice_update_functions[];
extern const u32 ksplice_update_nr_functions;
extern const struct ksplice_hook ksplice_update_hooks[];
extern const u32 ksplice_update_nr_hooks;
extern const u32 ksplice_update_flags;

int ksplice_register(const struct ksplice_update *update);
void ksplice_unregister(const struct ksplice_update *update);

#endif /* KSPLICE_H */
