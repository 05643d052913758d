/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the linker adds to the tables of ksplice.h where the kernel's own
 * livepatch is to switch an update (src/link/livepatch-tables.ts).
 */
#ifndef KSPLICE_LIVEPATCH_H
#define KSPLICE_LIVEPATCH_H

#include <linux/types.h>

/**
 * struct ksplice_livepatch_object - the kernel proper, or one module
 * @name:	NULL for the kernel proper
 * @nr_functions: how many of ksplice_update_functions are its own: those of the
 *		first object come first, and so on
 * @reserved:	0
 */
struct ksplice_livepatch_object {
	const char	*name;
	u32		nr_functions;
	u32		reserved;
};

/**
 * struct ksplice_livepatch_pin - a module that has to stay where it is
 * @name:	the module
 * @base:	where matching found it; 0 in a module that was linked at rest
 */
struct ksplice_livepatch_pin {
	const char	*name;
	unsigned long	base;
};

extern const struct ksplice_livepatch_object ksplice_livepatch_objects[];
extern const u32 ksplice_livepatch_nr_objects;
/* For each function, which of the symbols of its name it is; 0 if it is the only one. */
extern const u32 ksplice_livepatch_positions[];
extern const struct ksplice_livepatch_pin ksplice_livepatch_pins[];
extern const u32 ksplice_livepatch_nr_pins;
/*
 * In a module that was linked at rest: `uname -r` and `uname -v` of the kernel that it
 * was linked for, else empty; and the key of a static call that has to be NULL, as it is
 * where the kernel is not preemptible, or NULL where that is no matter.
 */
extern const char ksplice_livepatch_release[];
extern const char ksplice_livepatch_version[];
extern void *const *const ksplice_livepatch_preemption;
/* Where the replacement code ends, which begins with a replacement. */
extern const u8 ksplice_livepatch_code_end[];

#endif /* KSPLICE_LIVEPATCH_H */
