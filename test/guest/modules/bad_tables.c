// SPDX-License-Identifier: GPL-2.0
/*
 * Hands the core tables of updates that are wrong, one field at a time, and says what
 * it answered; then tables of which random fields were changed, for a seed.  The core
 * exports nothing, so its entry points come as parameters, from /proc/kallsyms.
 *
 * An entry of the name in `id` must be there.  Loading fails if the sound table is not
 * accepted: then the others prove nothing.
 */
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "ksplice.h"

static unsigned long register_at;
module_param(register_at, ulong, 0400);
static unsigned long unregister_at;
module_param(unregister_at, ulong, 0400);
static char *id = "";
module_param(id, charp, 0400);
static unsigned int seed = 1;
module_param(seed, uint, 0400);
static unsigned int rounds;
module_param(rounds, uint, 0400);

#define BODY 16

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

static noinline int replacement(void)
{
	return 0;
}

static void make_sound(void)
{
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

/* Each is one statement that breaks the sound table. */
#define CASES(CASE) \
	CASE(owner_null, now.update.owner = NULL) \
	CASE(owner_other, now.update.owner = UNMAPPED) \
	CASE(id_null, now.update.id = NULL) \
	CASE(id_outside, now.update.id = OUTSIDE) \
	CASE(id_unmapped, now.update.id = UNMAPPED) \
	CASE(id_endless, now.update.id = endless) \
	CASE(interface_0, now.update.interface = 0) \
	CASE(interface_later, now.update.interface = KSPLICE_INTERFACE + 1) \
	CASE(flags, now.update.flags = 0x80000000) \
	CASE(nothing, now.update.nr_functions = now.update.nr_hooks = 0) \
	CASE(functions_null, now.update.functions = NULL) \
	CASE(functions_outside, now.update.functions = OUTSIDE) \
	CASE(functions_unmapped, now.update.functions = UNMAPPED) \
	CASE(functions_wrap, now.update.functions = (void *)-8UL) \
	CASE(functions_at_end, now.update.functions = (void *)endless) \
	CASE(nr_functions_1000, now.update.nr_functions = 1000) \
	CASE(nr_functions_max, now.update.nr_functions = 0xffffffff) \
	CASE(hooks_null, now.update.hooks = NULL) \
	CASE(hooks_unmapped, now.update.hooks = UNMAPPED) \
	CASE(nr_hooks_1000, now.update.nr_hooks = 1000) \
	CASE(nr_hooks_max, now.update.nr_hooks = 0xffffffff) \
	CASE(hook_kind, now.hooks[0].kind = KSPLICE_HOOK_KINDS) \
	CASE(hook_kind_max, now.hooks[0].kind = 0xffffffff) \
	CASE(hook_reserved, now.hooks[0].reserved = 1) \
	CASE(hook_name_null, now.hooks[0].name = NULL) \
	CASE(hook_name_unmapped, now.hooks[0].name = UNMAPPED) \
	CASE(hook_null, now.hooks[0].function = 0) \
	CASE(hook_in_kernel, now.hooks[0].function = (unsigned long)_printk) \
	CASE(hook_in_data, now.hooks[0].function = (unsigned long)body) \
	CASE(name_null, FIRST.name = NULL) \
	CASE(name_unmapped, FIRST.name = UNMAPPED) \
	CASE(name_endless, FIRST.name = endless) \
	CASE(new_null, FIRST.new_addr = 0) \
	CASE(new_in_kernel, FIRST.new_addr = (unsigned long)_printk) \
	CASE(new_in_data, FIRST.new_addr = (unsigned long)body) \
	CASE(function_reserved, FIRST.reserved = 1) \
	CASE(ranges_null, FIRST.ranges = NULL) \
	CASE(ranges_unmapped, FIRST.ranges = UNMAPPED) \
	CASE(nr_ranges_0, FIRST.nr_ranges = 0) \
	CASE(nr_ranges_1000, FIRST.nr_ranges = 1000) \
	CASE(nr_ranges_max, FIRST.nr_ranges = 0xffffffff) \
	CASE(site_size_0, FIRST.site_size = 0) \
	CASE(site_size_4, FIRST.site_size = 4) \
	CASE(site_size_21, FIRST.site_size = 21) \
	CASE(site_size_max, FIRST.site_size = 0xffffffff) \
	CASE(site_behind_end, FIRST.site_offset = BODY - 4) \
	CASE(site_offset_max, FIRST.site_offset = 0xffffffff) \
	CASE(site_is_rewritten, now.ranges[0].mask = free_mask) \
	CASE(no_entry, now.ranges[0].flags = 0) \
	CASE(range_flags, now.ranges[0].flags = 0x80000001) \
	CASE(range_size_0, now.ranges[0].size = 0) \
	CASE(range_size_max, now.ranges[0].size = 0xffffffff) \
	CASE(range_size_1mb, now.ranges[0].size = 0x100000) \
	CASE(body_null, now.ranges[0].body = NULL) \
	CASE(body_unmapped, now.ranges[0].body = UNMAPPED) \
	CASE(body_at_end, now.ranges[0].body = (u8 *)endless) \
	CASE(mask_unmapped, now.ranges[0].mask = UNMAPPED) \
	CASE(start_null, now.ranges[0].start = 0) \
	CASE(start_unmapped, now.ranges[0].start = (unsigned long)UNMAPPED) \
	CASE(start_wrap, now.ranges[0].start = -8UL) \
	CASE(start_in_data, now.ranges[0].start = (unsigned long)body) \
	CASE(start_in_module, now.ranges[0].start = (unsigned long)replacement) \
	CASE(start_in_middle, now.ranges[0].start += 1) \
	CASE(ranges_overlap, now.ranges[1].start -= 1) \
	CASE(ranges_same, now.ranges[1] = now.ranges[0]) \
	CASE(functions_overlap, now.ranges[2] = now.ranges[0])

#define DEFINE(label, statement) static void break_##label(void) { statement; }
CASES(DEFINE)
#define LIST(label, statement) { #label, break_##label },
static const struct {
	const char *label;
	void (*spoil)(void);
} cases[] = { CASES(LIST) };

static int ask(const struct ksplice_update *update)
{
	int ret = ((int (*)(const struct ksplice_update *))register_at)(update);

	if (!ret)
		((void (*)(const struct ksplice_update *))unregister_at)(update);
	return ret;
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
		u64 value = prandom_u32_state(random) % 2 ?
			extremes[prandom_u32_state(random) % ARRAY_SIZE(extremes)] :
			(unsigned long)THIS_MODULE->core_layout.base +
			prandom_u32_state(random) % (2 * THIS_MODULE->core_layout.size);

		memcpy((u8 *)&now + at, &value, size);
	}
}

static int __init bad_tables_init(void)
{
	static struct ksplice_update on_heap_source;
	struct ksplice_update *on_heap;
	u32 i, accepted = 0;
	struct rnd_state random;
	char last;

	if (!register_at || !unregister_at)
		return -EINVAL;
	make_sound();
	now = sound;
	if (ask(&now.update))
		return -EINVAL;
	last = *endless;
	*endless = 'x';
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		now = sound;
		cases[i].spoil();
		pr_info("bad_tables: %s %d\n", cases[i].label, ask(&now.update));
	}
	*endless = last;

	on_heap_source = sound.update;
	on_heap = kmemdup(&on_heap_source, sizeof(on_heap_source), GFP_KERNEL);
	if (!on_heap)
		return -ENOMEM;
	pr_info("bad_tables: in_no_module %d\n", ask(on_heap));
	kfree(on_heap);

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
