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
 * that cannot be replaced: held_branch, held_locked, held_call, held_tail. "id" is the
 * name under which it is handed in, where that is not "held". With "hooks" there is one
 * before each switch, which sleeps until "go" is written or a signal comes, one after
 * each and one for each that was not made; with "resident" the module stays after an
 * undo.
 *
 * With "kernel" it is an update of that function of the kernel instead, by one that
 * returns 1. With "never" a hook refuses to apply it when no thread is in the way: for
 * functions that a kernel cannot do without. "intact" tells whether what is replaced is
 * as it was when the module was loaded.
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

/* Part of the module, as a name in its tables has to be. */
static char kernel[KSYM_NAME_LEN];
module_param_string(kernel, kernel, sizeof(kernel), 0400);
MODULE_PARM_DESC(kernel, "a function of the kernel to replace");

static bool never;
module_param(never, bool, 0400);
MODULE_PARM_DESC(never, "refuse to apply it after the safe point");

static char id[KSPLICE_ID_MAX + 1] = "held";
module_param_string(id, id, sizeof(id), 0400);
MODULE_PARM_DESC(id, "the name of the update");

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

static noinline int held_new_below_a_function_of_a_very_long_name(int how)
{
	int ret = held_new(how);

	barrier();
	return ret;
}

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

static int refuse(void)
{
	return -EPERM;
}

static struct ksplice_hook refusing_hook = {
	KSPLICE_HOOK_CHECK_APPLY, 0, "refuse", (unsigned long)refuse
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

static noinline long kernel_new(void)
{
	barrier();
	return 1;
}

/* Bodies and masks: the core follows no pointer out of the module. */
static u8 bytes[16384];
static size_t used;
static struct ksplice_range ranges[5];
static struct ksplice_function functions[4];
static struct ksplice_update update = {
	.owner		= THIS_MODULE,
	.id		= id,
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

/* "full" is for kprobes: MODULE:NAME if it is one of a module. */
static int add_function(const char *full, const char *name, void *replacement, const char *cold)
{
	struct ksplice_function *function = &functions[update.nr_functions];
	int ret = describe_range(full, true);

	if (!ret && cold)
		ret = describe_range(cold, false);
	function->name = name;
	function->new_addr = (unsigned long)replacement;
	function->site_offset = ENTRY;
	function->site_size = JUMP;
	update.nr_functions++;
	return ret;
}

static int add_held(const char *name, void *replacement, const char *cold)
{
	char full[80];

	if (only ? strcmp(only, name) : !replacement)
		return 0;
	snprintf(full, sizeof(full), "held:%s", name);
	return add_function(full, name, replacement ?: held_nmi_new, cold);
}

static int add_all_held(void)
{
	int ret = add_held("held", held_new, "held:held.cold");

	ret = ret ?: add_held("held_restart", held_restart_new, NULL);
	ret = ret ?: add_held("held_nmi", held_nmi_new, NULL);
	ret = ret ?: add_held("held_below_a_function_of_a_very_long_name",
			      held_new_below_a_function_of_a_very_long_name, NULL);
	/* Nobody will come to what stands for their replacements. */
	ret = ret ?: add_held("held_branch", NULL, NULL);
	ret = ret ?: add_held("held_locked", NULL, NULL);
	ret = ret ?: add_held("held_call", NULL, NULL);
	return ret ?: add_held("held_tail", NULL, NULL);
}

static bool range_is_intact(const struct ksplice_range *range)
{
	const u8 *found = (const u8 *)range->start;
	u32 i;

	for (i = 0; i < range->size; i++) {
		if ((found[i] ^ range->body[i]) & range->mask[i])
			return false;
	}
	return true;
}

static int get_intact(char *buffer, const struct kernel_param *kp)
{
	bool intact = true;
	u32 i, j;

	for (i = 0; i < update.nr_functions; i++) {
		for (j = 0; j < functions[i].nr_ranges; j++)
			intact = intact && range_is_intact(&functions[i].ranges[j]);
	}
	return sysfs_emit(buffer, "%d\n", intact);
}

static const struct kernel_param_ops intact_ops = { .get = get_intact };
module_param_cb(intact, &intact_ops, NULL, 0400);
MODULE_PARM_DESC(intact, "are the bytes as they were?");

static int __init held_update_init(void)
{
	int ret;

	register_update = (void *)address_of("ksplice:ksplice_register");
	unregister_update = (void *)address_of("ksplice:ksplice_unregister");
	if (!register_update || !unregister_update)
		return -ENOENT;
	update.hooks = never ? &refusing_hook : hook_table;
	update.nr_hooks = never ? 1 : hooks ? ARRAY_SIZE(hook_table) : 0;
	update.flags = resident ? KSPLICE_UPDATE_RESIDENT : 0;
	ret = *kernel ? add_function(kernel, kernel, kernel_new, NULL) : add_all_held();
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
