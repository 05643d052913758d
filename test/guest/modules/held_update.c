// SPDX-License-Identifier: GPL-2.0
/*
 * An update of held.ko, made by hand: what it tells the core is what the linker would
 * have put there. The core is asked directly, so that one test can ask it many things.
 *
 *	echo create held >/sys/kernel/ksplice/control
 *	echo pin held held >/sys/kernel/ksplice/control
 *	insmod held_update.ko
 *	echo applied >/sys/kernel/ksplice/held/stage
 *
 * The parameter "only" leaves one function: held, held_restart, held_nmi; or has one
 * that cannot be replaced: held_branch, held_locked. With "hooks"
 * there is one before each switch, which sleeps until "go" is written or a signal
 * comes, one after each and one for each that was not made; with "resident" the module
 * stays after an undo.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>

#include "hold.h"
#include "ksplice.h"

#define ENTRY	5
#define JUMP	5

static char *only;
module_param(only, charp, 0400);
MODULE_PARM_DESC(only, "the one function to replace");

static bool hooks;
module_param(hooks, bool, 0400);
MODULE_PARM_DESC(hooks, "have hooks");

static bool resident;
module_param(resident, bool, 0400);
MODULE_PARM_DESC(resident, "stay after an undo");

/* How often the hooks were called: before, after, and when nothing came of it. */
static int calls[3];
module_param_array(calls, int, NULL, 0400);

HOLD_FUNCTIONS(held_new, 1)

static int before_switch(void)
{
	hold_inside++;
	calls[0]++;
	held_new_asleep();
	return 0;
}

static void after_switch(void)
{
	calls[1]++;
}

static void after_failure(void)
{
	calls[2]++;
}

static struct ksplice_hook hook_table[] = {
	{ KSPLICE_HOOK_PRE_APPLY, 0, "before_switch", (unsigned long)before_switch },
	{ KSPLICE_HOOK_POST_APPLY, 0, "after_switch", (unsigned long)after_switch },
	{ KSPLICE_HOOK_FAIL_APPLY, 0, "after_failure", (unsigned long)after_failure },
	{ KSPLICE_HOOK_PRE_REVERSE, 0, "before_switch", (unsigned long)before_switch },
	{ KSPLICE_HOOK_POST_REVERSE, 0, "after_switch", (unsigned long)after_switch },
	{ KSPLICE_HOOK_FAIL_REVERSE, 0, "after_failure", (unsigned long)after_failure },
};

static noinline long held_restart_new(struct restart_block *block)
{
	barrier();
	return 101;
}

static noinline unsigned int held_nmi_new(void)
{
	barrier();
	return 1;
}

/* Bodies and masks: the core follows no pointer out of the module. */
static u8 bytes[16384];
static size_t used;
static struct ksplice_range ranges[4];
static struct ksplice_function functions[3];
static struct ksplice_update update = {
	.owner		= THIS_MODULE,
	.id		= "held",
	.functions	= functions,
	.interface	= KSPLICE_INTERFACE,
};

static int (*register_update)(const struct ksplice_update *update);
static void (*unregister_update)(const struct ksplice_update *update);

/* A probe that is never armed finds out what a name stands for. */
static unsigned long address_of(const char *name)
{
	struct kprobe probe = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
	unsigned long addr;

	if (register_kprobe(&probe))
		return 0;
	addr = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return addr;
}

static u32 size_of(unsigned long addr)
{
	char symbol[KSYM_SYMBOL_LEN], *size;
	u32 value = 0;

	sprint_symbol(symbol, addr);
	size = strchr(symbol, '/');
	if (!size || sscanf(size, "/0x%x", &value) != 1)
		return 0;
	return value;
}

static int describe_range(const char *name, bool entry)
{
	struct ksplice_function *function = &functions[update.nr_functions];
	unsigned long start = address_of(name);
	u32 size = start ? size_of(start) : 0;
	struct ksplice_range *range;
	u8 *body, *mask;

	if (!size || size > (sizeof(bytes) - used) / 2)
		return -ENOENT;
	body = &bytes[used];
	mask = &bytes[used + size];
	used += 2 * size;
	memcpy(body, (void *)start, size);
	memset(mask, 0xff, size);
	if (entry)
		memset(mask, 0, ENTRY);
	if (entry)
		function->ranges = &ranges[update.nr_functions ? update.nr_functions + 1 : 0];
	range = (struct ksplice_range *)&function->ranges[function->nr_ranges++];
	*range = (struct ksplice_range){ start, size, entry ? KSPLICE_RANGE_ENTRY : 0, body, mask };
	return 0;
}

static int add_function(const char *name, void *replacement, const char *cold)
{
	struct ksplice_function *function = &functions[update.nr_functions];
	char full[40];
	int ret;

	if (only ? strcmp(only, name) : !replacement)
		return 0;
	snprintf(full, sizeof(full), "held:%s", name);
	ret = describe_range(full, true);
	if (!ret && cold)
		ret = describe_range(cold, false);
	function->name = name;
	function->new_addr = (unsigned long)(replacement ?: held_nmi_new);
	function->site_offset = ENTRY;
	function->site_size = JUMP;
	update.nr_functions++;
	return ret;
}

static int __init held_update_init(void)
{
	int ret;

	register_update = (void *)address_of("ksplice:ksplice_register");
	unregister_update = (void *)address_of("ksplice:ksplice_unregister");
	if (!register_update || !unregister_update)
		return -ENOENT;
	update.hooks = hook_table;
	update.nr_hooks = hooks ? ARRAY_SIZE(hook_table) : 0;
	update.flags = resident ? KSPLICE_UPDATE_RESIDENT : 0;
	ret = add_function("held", held_new, "held:held.cold");
	ret = ret ?: add_function("held_restart", held_restart_new, NULL);
	ret = ret ?: add_function("held_nmi", held_nmi_new, NULL);
	/* Nobody will come to what stands for their replacements. */
	ret = ret ?: add_function("held_branch", NULL, NULL);
	ret = ret ?: add_function("held_locked", NULL, NULL);
	return ret ?: register_update(&update);
}

static void __exit held_update_exit(void)
{
	unregister_update(&update);
}

module_init(held_update_init);
module_exit(held_update_exit);
MODULE_DESCRIPTION("replaces functions of held.ko");
MODULE_LICENSE("GPL");
