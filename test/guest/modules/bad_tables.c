// SPDX-License-Identifier: GPL-2.0
/*
 * Hands the core tables of updates that are wrong, one field at a time, and says what
 * it answered, and what it should have: an error, and the reason that it gives in the
 * line before.  Then tables of which random fields were changed, for a seed.  The core
 * exports nothing, so its entry points come as parameters, from /proc/kallsyms; as do
 * places in the kernel that have something about them.
 *
 * An entry of the name in `id` must be there.  Loading fails if the sound table is not
 * accepted: then the others prove nothing.
 */
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core.h"
#include "ksplice.h"

static unsigned long register_at;
module_param(register_at, ulong, 0400);
static unsigned long unregister_at;
module_param(unregister_at, ulong, 0400);
/* Functions: one that an update replaces, one that may take no breakpoint, one of a
 * module that the entry has pinned; and where the kernel's text ends.
 */
static unsigned long taken_at;
module_param(taken_at, ulong, 0400);
static unsigned long blacklisted_at;
module_param(blacklisted_at, ulong, 0400);
static unsigned long pinned_at;
module_param(pinned_at, ulong, 0400);
static unsigned long text_end;
module_param(text_end, ulong, 0400);
static char *id = "";
module_param(id, charp, 0400);
static unsigned int seed = 1;
module_param(seed, uint, 0400);
static unsigned int rounds;
module_param(rounds, uint, 0400);

#define BODY 16
/* As in core/bounds.c. */
#define HOOKS_MAX 10000

static struct fixture {
	struct ksplice_update update;
	struct ksplice_function functions[2];
	struct ksplice_range ranges[3];
	struct ksplice_hook hooks[1];
} sound, now;

static char name[] = "a_function";
static char own_id[KSPLICE_ID_MAX + 1];
static u8 body[BODY], mask[BODY], free_mask[BODY];
/* The last byte of the module's memory: a name without an end, while it is not 0. */
static char *endless;
/* As many as the core takes, and one more. The functions are empty, for hooks, too. */
static struct ksplice_function many_functions[KSPLICE_FUNCTIONS_MAX + 1];
static struct ksplice_range many_ranges[KSPLICE_RANGES_MAX + 1];
/* More than the text of a module. */
static u8 long_body[SZ_64K];

static noinline int replacement(void)
{
	return 0;
}

static void make_sound(void)
{
	u32 i;

	memset(mask, 0xff, sizeof(mask));
	strscpy(own_id, id, sizeof(own_id));
	sound.ranges[0] = (struct ksplice_range){
		.start = (unsigned long)_printk, .size = BODY, .flags = KSPLICE_RANGE_ENTRY,
		.body = body, .mask = mask,
	};
	sound.ranges[1] = (struct ksplice_range){
		.start = (unsigned long)_printk + BODY, .size = 8, .body = body, .mask = mask,
	};
	sound.ranges[2] = sound.ranges[0];
	sound.ranges[2].start = (unsigned long)kstrtobool;
	for (i = 0; i < ARRAY_SIZE(many_ranges); i++)
		many_ranges[i] = sound.ranges[0];
	sound.functions[0] = (struct ksplice_function){
		.name = name, .new_addr = (unsigned long)replacement,
		.ranges = &now.ranges[0], .nr_ranges = 2, .site_offset = 5, .site_size = 5,
	};
	sound.functions[1] = sound.functions[0];
	sound.functions[1].ranges = &now.ranges[2];
	sound.functions[1].nr_ranges = 1;
	sound.hooks[0] = (struct ksplice_hook){
		.kind = KSPLICE_HOOK_POST_APPLY, .name = name,
		.function = (unsigned long)replacement,
	};
	sound.update = (struct ksplice_update){
		.owner = THIS_MODULE, .id = own_id, .functions = now.functions,
		.hooks = now.hooks, .nr_functions = 2, .nr_hooks = 1,
		.interface = KSPLICE_INTERFACE,
	};
	endless = (char *)THIS_MODULE->core_layout.base + THIS_MODULE->core_layout.size - 1;
}

#define OUTSIDE ((void *)&jiffies)
#define UNMAPPED ((void *)0xffffffffff000000UL)
#define FIRST (now.functions[0])

/* Where the table begins of which the 1000th entry lies outside. */
static void *ending(size_t size)
{
	return endless + 1 - 999 * size;
}

static void functions_are_many(u32 functions)
{
	now.update.functions = many_functions;
	now.update.nr_functions = functions;
}

static void hooks_are_many(u32 hooks)
{
	now.update.hooks = (struct ksplice_hook *)many_functions;
	now.update.nr_hooks = hooks;
}

static void ranges_are_many(u32 first, u32 second)
{
	now.functions[0].ranges = many_ranges;
	now.functions[1].ranges = many_ranges;
	now.functions[0].nr_ranges = first;
	now.functions[1].nr_ranges = second;
}

/* The first function is another one, without parts. */
static void starts_at(unsigned long start)
{
	now.ranges[0].start = start;
	now.functions[0].nr_ranges = 1;
}

static void is_long_at(unsigned long start)
{
	starts_at(start);
	now.ranges[0].size = sizeof(long_body);
	now.ranges[0].body = long_body;
	now.ranges[0].mask = long_body;
}

/* Each is one statement that breaks the sound table. */
#define CASES(REFUSED, ANSWERED) \
	REFUSED(owner_null, "another module is named as its owner", now.update.owner = NULL) \
	REFUSED(owner_other, "another module is named as its owner", \
		now.update.owner = UNMAPPED) \
	REFUSED(id_null, "the ID lies outside", now.update.id = NULL) \
	REFUSED(id_outside, "the ID lies outside", now.update.id = OUTSIDE) \
	REFUSED(id_unmapped, "the ID lies outside", now.update.id = UNMAPPED) \
	REFUSED(id_endless, "the ID lies outside", now.update.id = endless) \
	ANSWERED(id_unknown, -ENOENT, "", own_id[0] ^= 1) \
	REFUSED(interface_0, "interface 0, expected", now.update.interface = 0) \
	REFUSED(interface_later, "interface", now.update.interface = KSPLICE_INTERFACE + 1) \
	REFUSED(flags, "a flag of the update that is not known", now.update.flags = 0x80000000) \
	REFUSED(nothing, "an update without functions and hooks", \
		now.update.nr_functions = now.update.nr_hooks = 0) \
	REFUSED(functions_null, "functions lie outside", now.update.functions = NULL) \
	REFUSED(functions_outside, "functions lie outside", now.update.functions = OUTSIDE) \
	REFUSED(functions_unmapped, "functions lie outside", now.update.functions = UNMAPPED) \
	REFUSED(functions_wrap, "functions lie outside", now.update.functions = (void *)-8UL) \
	REFUSED(functions_at_end, "functions lie outside", \
		now.update.functions = (void *)endless) \
	REFUSED(functions_one_short, "functions lie outside", \
		now.update.functions = ending(sizeof(FIRST)), now.update.nr_functions = 1000) \
	REFUSED(nr_functions_10001, "number of functions", \
		functions_are_many(KSPLICE_FUNCTIONS_MAX + 1)) \
	REFUSED(nr_functions_10000, "a function's name lies outside", \
		functions_are_many(KSPLICE_FUNCTIONS_MAX)) \
	REFUSED(nr_functions_max, "number of functions", now.update.nr_functions = 0xffffffff) \
	REFUSED(hooks_null, "hooks lie outside", now.update.hooks = NULL) \
	REFUSED(hooks_unmapped, "hooks lie outside", now.update.hooks = UNMAPPED) \
	REFUSED(hooks_one_short, "hooks lie outside", \
		now.update.hooks = ending(sizeof(now.hooks[0])), now.update.nr_hooks = 1000) \
	REFUSED(nr_hooks_10001, "number of hooks", hooks_are_many(HOOKS_MAX + 1)) \
	REFUSED(nr_hooks_10000, "a hook's name lies outside", hooks_are_many(HOOKS_MAX)) \
	REFUSED(nr_hooks_max, "number of hooks", now.update.nr_hooks = 0xffffffff) \
	REFUSED(hook_kind, "unknown kind of hook", now.hooks[0].kind = KSPLICE_HOOK_KINDS) \
	REFUSED(hook_kind_max, "unknown kind of hook", now.hooks[0].kind = 0xffffffff) \
	REFUSED(hook_reserved, "a field of a hook that is not known", now.hooks[0].reserved = 1) \
	REFUSED(hook_name_null, "a hook's name lies outside", now.hooks[0].name = NULL) \
	REFUSED(hook_name_unmapped, "a hook's name lies outside", now.hooks[0].name = UNMAPPED) \
	REFUSED(hook_null, "the hook lies outside the update module's code", \
		now.hooks[0].function = 0) \
	REFUSED(hook_in_kernel, "the hook lies outside the update module's code", \
		now.hooks[0].function = (unsigned long)_printk) \
	REFUSED(hook_in_data, "the hook lies outside the update module's code", \
		now.hooks[0].function = (unsigned long)body) \
	REFUSED(name_null, "a function's name lies outside", FIRST.name = NULL) \
	REFUSED(name_unmapped, "a function's name lies outside", FIRST.name = UNMAPPED) \
	REFUSED(name_endless, "a function's name lies outside", FIRST.name = endless) \
	REFUSED(new_null, "the replacement lies outside the update module's code", \
		FIRST.new_addr = 0) \
	REFUSED(new_in_kernel, "the replacement lies outside the update module's code", \
		FIRST.new_addr = (unsigned long)_printk) \
	REFUSED(new_in_data, "the replacement lies outside the update module's code", \
		FIRST.new_addr = (unsigned long)body) \
	REFUSED(function_reserved, "a field of a function that is not known", \
		FIRST.reserved = 1) \
	REFUSED(ranges_null, "ranges lie outside", FIRST.ranges = NULL) \
	REFUSED(ranges_unmapped, "ranges lie outside", FIRST.ranges = UNMAPPED) \
	REFUSED(nr_ranges_0, "number of ranges", FIRST.nr_ranges = 0) \
	REFUSED(ranges_one_short, "ranges lie outside", \
		FIRST.ranges = ending(sizeof(now.ranges[0])), FIRST.nr_ranges = 1000) \
	REFUSED(nr_ranges_20001, "number of ranges", ranges_are_many(KSPLICE_RANGES_MAX + 1, 1)) \
	REFUSED(nr_ranges_in_all_20001, "number of ranges in all", \
		ranges_are_many(KSPLICE_RANGES_MAX - 10, 11)) \
	REFUSED(nr_ranges_in_all_20000, "ranges overlap", \
		ranges_are_many(KSPLICE_RANGES_MAX - 10, 10)) \
	REFUSED(nr_ranges_max, "number of ranges", FIRST.nr_ranges = 0xffffffff) \
	REFUSED(site_size_0, "size of the jump's site", FIRST.site_size = 0) \
	REFUSED(site_size_4, "size of the jump's site", FIRST.site_size = 4) \
	REFUSED(site_size_21, "size of the jump's site", FIRST.site_size = 21) \
	REFUSED(site_size_max, "size of the jump's site", FIRST.site_size = 0xffffffff) \
	REFUSED(site_behind_end, "the jump's site lies outside", FIRST.site_offset = BODY - 4) \
	REFUSED(site_offset_max, "the jump's site lies outside", FIRST.site_offset = 0xffffffff) \
	REFUSED(site_is_rewritten, "the kernel rewrites bytes of the jump's site", \
		now.ranges[0].mask = free_mask) \
	REFUSED(no_entry, "no entry", now.ranges[0].flags = 0) \
	REFUSED(range_flags, "a flag of a range that is not known", \
		now.ranges[0].flags = 0x80000001) \
	REFUSED(range_size_0, "empty range", now.ranges[0].size = 0) \
	REFUSED(range_size_max, "bytes of a range lie outside", now.ranges[0].size = 0xffffffff) \
	REFUSED(range_size_4mb, "bytes of a range lie outside", now.ranges[0].size = SZ_4M) \
	REFUSED(body_null, "bytes of a range lie outside", now.ranges[0].body = NULL) \
	REFUSED(body_unmapped, "bytes of a range lie outside", now.ranges[0].body = UNMAPPED) \
	REFUSED(body_at_end, "bytes of a range lie outside", now.ranges[0].body = (u8 *)endless) \
	REFUSED(mask_unmapped, "bytes of a range lie outside", now.ranges[0].mask = UNMAPPED) \
	REFUSED(start_null, "not text of the kernel or of a pinned module", \
		now.ranges[0].start = 0) \
	REFUSED(start_unmapped, "not text of the kernel or of a pinned module", \
		now.ranges[0].start = (unsigned long)UNMAPPED) \
	REFUSED(start_wrap, "empty range", now.ranges[0].start = -8UL) \
	REFUSED(start_in_data, "not text of the kernel or of a pinned module", \
		now.ranges[0].start = (unsigned long)body) \
	REFUSED(start_in_module, "not text of the kernel or of a pinned module", \
		now.ranges[0].start = (unsigned long)replacement) \
	REFUSED(start_in_core, "not text of the kernel or of a pinned module", \
		starts_at(register_at)) \
	ANSWERED(start_in_pinned, 0, "", starts_at(pinned_at)) \
	REFUSED(end_outside_kernel, "not text of the kernel or of a pinned module", \
		starts_at(text_end - 8)) \
	REFUSED(end_outside_pinned, "not text of the kernel or of a pinned module", \
		is_long_at(pinned_at)) \
	REFUSED(part_outside, "not text of the kernel or of a pinned module", \
		now.ranges[1].start = register_at) \
	REFUSED(blacklisted, "code that may not take a breakpoint", starts_at(blacklisted_at)) \
	REFUSED(part_blacklisted, "code that may not take a breakpoint", \
		now.ranges[1].start = blacklisted_at) \
	REFUSED(start_in_middle, "not the start of a function", \
		starts_at((unsigned long)_printk + 1)) \
	ANSWERED(taken, -EBUSY, "a_function is replaced by", starts_at(taken_at)) \
	ANSWERED(part_taken, -EBUSY, "a_function is replaced by", \
		now.ranges[1].start = taken_at + 8) \
	ANSWERED(second_taken, -EBUSY, "a_function is replaced by", \
		now.ranges[2].start = taken_at) \
	REFUSED(ranges_overlap, "ranges overlap", now.ranges[1].start -= 1) \
	REFUSED(ranges_same, "ranges overlap", now.ranges[1] = now.ranges[0]) \
	REFUSED(functions_overlap, "functions overlap", now.ranges[2] = now.ranges[0])

#define DEFINE(label, why, ...) static void break_##label(void) { __VA_ARGS__; }
#define DEFINE_ANSWERED(label, errno, why, ...) DEFINE(label, why, __VA_ARGS__)
CASES(DEFINE, DEFINE_ANSWERED)
#define LIST(label, why, ...) { #label, -EINVAL, why, break_##label },
#define LIST_ANSWERED(label, errno, why, ...) { #label, errno, why, break_##label },
static const struct {
	const char *label;
	int errno;
	const char *why;
	void (*spoil)(void);
} cases[] = { CASES(LIST, LIST_ANSWERED) };

static int ask(const struct ksplice_update *update)
{
	int ret = ((int (*)(const struct ksplice_update *))register_at)(update);

	if (!ret)
		((void (*)(const struct ksplice_update *))unregister_at)(update);
	return ret;
}

static void ask_and_say(const char *label, const struct ksplice_update *update, int errno,
			const char *why)
{
	pr_info("bad_tables: %s %d, expected %d %s\n", label, ask(update), errno, why);
}

static const u64 extremes[] = {
	0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
	0x7fffffffffffffff, 0x8000000000000000, 0xffffffff81000000, 0xffffffffc0000000,
	0xfffffffffffffff8, 0xffffffffffffffff,
};

static void ask_random(struct rnd_state *random)
{
	u32 changes = 1 + prandom_u32_state(random) % 3;

	now = sound;
	while (changes--) {
		u32 size = prandom_u32_state(random) % 2 ? 8 : 4;
		u32 at = prandom_u32_state(random) % (sizeof(now) / size) * size;
		/* What is not large comes first. */
		u32 window = prandom_u32_state(random) % 2 ? SZ_32K :
			     2 * THIS_MODULE->core_layout.size;
		u64 value = prandom_u32_state(random) % 2 ?
			extremes[prandom_u32_state(random) % ARRAY_SIZE(extremes)] :
			(unsigned long)THIS_MODULE->core_layout.base +
			prandom_u32_state(random) % window;

		memcpy((u8 *)&now + at, &value, size);
	}
}

static struct ksplice_update in_init __initdata;

/* The sound one, where it must not be, and when. */
static int __init ask_elsewhere(void)
{
	static const char why[] = "an update that is not part of a module was refused";
	struct ksplice_update *on_heap;

	now = sound;
	on_heap = kmemdup(&now.update, sizeof(now.update), GFP_KERNEL);
	if (!on_heap)
		return -ENOMEM;
	in_init = now.update;
	ask_and_say("in_no_module", on_heap, -EINVAL, why);
	ask_and_say("in_init", &in_init, -EINVAL, why);
	ask_and_say("at_end_of_module", ending(sizeof(now.update)) + 999 * sizeof(now.update) - 8,
		    -EINVAL, why);
	kfree(on_heap);

	if (((int (*)(const struct ksplice_update *))register_at)(&now.update))
		return -EINVAL;
	ask_and_say("twice", &now.update, -EBUSY, "");
	((void (*)(const struct ksplice_update *))unregister_at)(&now.update);
	return 0;
}

static int __init bad_tables_init(void)
{
	u32 i, accepted = 0;
	struct rnd_state random;
	char last;

	if (!register_at || !unregister_at || !taken_at || !blacklisted_at || !pinned_at ||
	    !text_end)
		return -EINVAL;
	make_sound();
	now = sound;
	if (ask(&now.update))
		return -EINVAL;
	last = *endless;
	*endless = 'x';
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		now = sound;
		strscpy(own_id, id, sizeof(own_id));
		cases[i].spoil();
		ask_and_say(cases[i].label, &now.update, cases[i].errno, cases[i].why);
	}
	*endless = last;
	if (ask_elsewhere())
		return -ENOMEM;

	prandom_seed_state(&random, seed);
	for (i = 0; i < rounds; i++) {
		ask_random(&random);
		accepted += !ask(&now.update);
	}
	now = sound;
	pr_info("bad_tables: %u random ones, %u accepted, the sound one %d\n", rounds, accepted,
		ask(&now.update));
	return 0;
}

static void __exit bad_tables_exit(void)
{
}

module_init(bad_tables_init);
module_exit(bad_tables_exit);
MODULE_DESCRIPTION("hands the core of ksplice tables that are wrong");
MODULE_LICENSE("GPL");
