// SPDX-License-Identifier: GPL-2.0
/*
 * Updates made by hand, as many as a test wants to name in one line. They replace
 * nothing: each has hooks that are called inside the stop, and count.
 *
 *	for i in $(seq 0 69); do echo create listed_$i >/sys/kernel/ksplice/control; done
 *	insmod listed.ko count=70
 *
 * The parameter "applied" says how many of them are.
 *
 * With functions=N each also replaces N functions of the kernel, of ranges=M pieces
 * each, with bytes that no kernel has there: it can be counted, and never be applied.
 * With hooks=N it has N hooks, the half of them for each direction.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

#include "ksplice.h"

#define MOST 70
/* As many as the core takes from one update. */
#define MOST_FUNCTIONS 10000
#define MOST_RANGES 20000
#define MOST_HOOKS 10000

static unsigned int count = MOST;
module_param(count, uint, 0400);
static int applied;
module_param(applied, int, 0400);
static unsigned int functions;
module_param(functions, uint, 0400);
static unsigned int hooks = 2;
module_param(hooks, uint, 0400);
static unsigned int ranges = 1;
module_param(ranges, uint, 0400);

static char ids[MOST][KSPLICE_ID_MAX + 1];
static struct ksplice_update updates[MOST];
static unsigned int registered;

/* All updates have the same functions. */
static const u8 bytes[5] = { 0xcc, 0xcc, 0xcc, 0xcc, 0xcc };
static const u8 mask[5] = { 0xff, 0xff, 0xff, 0xff, 0xff };
static struct ksplice_range range_table[MOST_RANGES];
static struct ksplice_function function_table[MOST_FUNCTIONS];
static unsigned int pieces;

static void apply(void)
{
	applied++;
}

static void reverse(void)
{
	applied--;
}

static struct ksplice_hook hook_table[MOST_HOOKS];

static void fill_hooks(void)
{
	unsigned int i;

	for (i = 0; i < hooks; i++)
		hook_table[i] = i % 2 ?
			(struct ksplice_hook){ KSPLICE_HOOK_REVERSE, 0, "reverse", (unsigned long)reverse } :
			(struct ksplice_hook){ KSPLICE_HOOK_APPLY, 0, "apply", (unsigned long)apply };
}

static int (*register_update)(const struct ksplice_update *update);
static void (*unregister_update)(const struct ksplice_update *update);

/* A probe that is never armed finds out what a name stands for. */
static void *address_of(const char *name)
{
	struct kprobe probe = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };

	if (register_kprobe(&probe))
		return NULL;
	unregister_kprobe(&probe);
	return probe.addr;
}

static int (*is_text)(unsigned long addr);
static bool (*is_blacklisted)(unsigned long addr);

/* Called for all symbols of the kernel, in the order of their addresses, until it is not 0. */
static int add_piece(void *last, const char *name, struct module *module, unsigned long addr)
{
	if (module || !is_text(addr) || is_blacklisted(addr))
		return 0;
	if (addr - *(unsigned long *)last < sizeof(bytes))
		return 0;
	*(unsigned long *)last = addr;
	range_table[pieces++] = (struct ksplice_range){
		.start = addr, .size = sizeof(bytes), .flags = KSPLICE_RANGE_ENTRY,
		.body = bytes, .mask = mask,
	};
	return pieces == functions * ranges;
}

static int fill_tables(void)
{
	int (*for_each)(int (*each)(void *data, const char *name, struct module *module,
				    unsigned long addr), void *data);
	unsigned long last = 0;
	unsigned int i;

	for_each = address_of("kallsyms_on_each_symbol");
	is_text = address_of("core_kernel_text");
	is_blacklisted = address_of("within_kprobe_blacklist");
	if (!for_each || !is_text || !is_blacklisted || for_each(add_piece, &last) != 1)
		return -EINVAL;
	for (i = 0; i < functions; i++) {
		function_table[i] = (struct ksplice_function){
			.name = "counted", .new_addr = (unsigned long)apply,
			.ranges = &range_table[i * ranges], .nr_ranges = ranges,
			.site_size = sizeof(bytes),
		};
	}
	return 0;
}

static void listed_exit(void)
{
	while (registered)
		unregister_update(&updates[--registered]);
}

static int __init listed_init(void)
{
	int ret;

	register_update = address_of("ksplice:ksplice_register");
	unregister_update = address_of("ksplice:ksplice_unregister");
	if (!register_update || !unregister_update || count > MOST ||
	    functions > MOST_FUNCTIONS || hooks > MOST_HOOKS || ranges > MOST_RANGES / max(functions, 1U))
		return -EINVAL;
	if (functions && fill_tables())
		return -EINVAL;
	fill_hooks();
	while (registered < count) {
		struct ksplice_update *update = &updates[registered];

		snprintf(ids[registered], sizeof(ids[registered]), "listed_%u", registered);
		*update = (struct ksplice_update){
			.owner = THIS_MODULE, .id = ids[registered], .hooks = hook_table,
			.nr_hooks = hooks, .interface = KSPLICE_INTERFACE,
			.functions = function_table, .nr_functions = functions,
		};
		ret = register_update(update);
		if (ret) {
			listed_exit();
			return ret;
		}
		registered++;
	}
	return 0;
}

module_init(listed_init);
module_exit(listed_exit);
/* For a srcversion. */
MODULE_VERSION("1");
MODULE_DESCRIPTION("many updates that replace nothing");
MODULE_LICENSE("GPL");
