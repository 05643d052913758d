/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For authors of updates: a new field for objects that exist already.
 *
 * A structure cannot get a new member while objects of it are in use: they have no
 * room for it, and code that is not replaced knows the old layout.  A shadow field
 * lies elsewhere, and is found by the address of its object.  The kernel's own
 * livepatch keeps it (Documentation/livepatch/shadow-vars.rst), in a hash table.
 *
 *	#include <ksplice-shadow.h>
 *
 *	DEFINE_SHADOW_FIELD(struct eventpoll, unsigned long, added);
 *
 *	where it may sleep:	unsigned long *added = make_added_shadow(ep, GFP_KERNEL);
 *
 *				if (added)
 *					(*added)++;
 *	anywhere:		unsigned long *added = get_added_shadow(ep);
 *	with its object:	cleanup_added_shadow(ep);
 *
 * A field begins as zeroes.  Objects from before the update have none until it is
 * made, and making it can fail: code has to do without.  Who forgets to clean up
 * leaves a field behind that a later object at the same address inherits.  All
 * fields are freed when the update has been undone, and when it was not applied
 * after a pre hook has made some.
 *
 * A field belongs to the file that defines it: the same line in another file makes
 * another field.
 */
#ifndef KSPLICE_SHADOW_H
#define KSPLICE_SHADOW_H

#include <linux/compiler.h>
#include <linux/livepatch.h>
#include <ksplice-patch.h>

/**
 * DEFINE_SHADOW_FIELD() - a field of type @field for each object of type @base
 * @base:	type of the objects
 * @field:	type of the field
 * @name:	makes get_@name_shadow(), make_@name_shadow(), cleanup_@name_shadow()
 *
 * get_ and cleanup_ may be called anywhere but in an NMI, make_ where its gfp flags
 * allow it.  get_ returns NULL for an object without the field, make_ where there is
 * no memory.
 *
 * The address of the id is the field's number: no other update has it while this one
 * is loaded.
 */
#define DEFINE_SHADOW_FIELD(base, field, name)					\
static const char __##name##_shadow_id;						\
										\
static inline __maybe_unused field *get_##name##_shadow(base *object)		\
{										\
	return klp_shadow_get(object, (unsigned long)&__##name##_shadow_id);	\
}										\
										\
static inline __maybe_unused field *make_##name##_shadow(base *object,		\
							 gfp_t gfp)		\
{										\
	return klp_shadow_get_or_alloc(object,					\
				       (unsigned long)&__##name##_shadow_id,	\
				       sizeof(field), gfp, NULL, NULL);		\
}										\
										\
static inline __maybe_unused void cleanup_##name##_shadow(base *object)	\
{										\
	klp_shadow_free(object, (unsigned long)&__##name##_shadow_id, NULL);	\
}										\
										\
static void __##name##_shadow_free_all(void)					\
{										\
	klp_shadow_free_all((unsigned long)&__##name##_shadow_id, NULL);	\
}										\
ksplice_post_reverse(__##name##_shadow_free_all);				\
ksplice_fail_apply(__##name##_shadow_free_all)

#endif /* KSPLICE_SHADOW_H */
