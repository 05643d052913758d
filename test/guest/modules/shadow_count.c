// SPDX-License-Identifier: GPL-2.0
/*
 * How many shadow variables there are in the kernel, of all objects and updates:
 *
 *	insmod shadow_count.ko table=ADDRESS	of klp_shadow_hash (kernel/livepatch/shadow.c)
 *	cat /sys/module/shadow_count/parameters/count
 */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

/* As many as klp_shadow_hash has. */
#define HEADS	4096

static unsigned long table;
module_param(table, ulong, 0400);

static int count_get(char *buffer, const struct kernel_param *param)
{
	const struct hlist_head *heads = (void *)table;
	struct hlist_node *node;
	unsigned int i, count = 0;

	rcu_read_lock();
	for (i = 0; i < HEADS; i++) {
		for (node = READ_ONCE(heads[i].first); node; node = READ_ONCE(node->next))
			count++;
	}
	rcu_read_unlock();
	return sprintf(buffer, "%u\n", count);
}

static const struct kernel_param_ops count_ops = { .get = count_get };
module_param_cb(count, &count_ops, NULL, 0400);

static int __init shadow_count_init(void)
{
	return table ? 0 : -EINVAL;
}

static void __exit shadow_count_exit(void)
{
}

module_init(shadow_count_init);
module_exit(shadow_count_exit);
MODULE_DESCRIPTION("counts shadow variables");
MODULE_LICENSE("GPL");
