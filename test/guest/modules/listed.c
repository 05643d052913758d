// SPDX-License-Identifier: GPL-2.0
/*
 * Updates made by hand, as many as a test wants to name in one line. They replace
 * nothing: each has hooks that are called inside the stop, and count.
 *
 *	for i in $(seq 0 69); do echo create listed_$i >/sys/kernel/ksplice/control; done
 *	insmod listed.ko count=70
 *
 * The parameter "applied" says how many of them are.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

#include "ksplice.h"

#define MOST 70

static unsigned int count = MOST;
module_param(count, uint, 0400);
static int applied;
module_param(applied, int, 0400);

static char ids[MOST][KSPLICE_ID_MAX + 1];
static struct ksplice_update updates[MOST];
static unsigned int registered;

static void apply(void)
{
	applied++;
}

static void reverse(void)
{
	applied--;
}

static const struct ksplice_hook hooks[] = {
	{ KSPLICE_HOOK_APPLY, 0, "apply", (unsigned long)apply },
	{ KSPLICE_HOOK_REVERSE, 0, "reverse", (unsigned long)reverse },
};

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
	if (!register_update || !unregister_update || count > MOST)
		return -EINVAL;
	while (registered < count) {
		struct ksplice_update *update = &updates[registered];

		snprintf(ids[registered], sizeof(ids[registered]), "listed_%u", registered);
		*update = (struct ksplice_update){
			.owner = THIS_MODULE, .id = ids[registered], .hooks = hooks,
			.nr_hooks = ARRAY_SIZE(hooks), .interface = KSPLICE_INTERFACE,
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
MODULE_DESCRIPTION("many updates that replace nothing");
MODULE_LICENSE("GPL");
