// SPDX-License-Identifier: GPL-2.0
/*
 * Branches on a key of the kernel that it knows by address, as an update would whose linker
 * did not look where the key lies. The address stands in the symbol table of the compiled
 * file, as KEY_ADDRESS, and is replaced by the key's before the module is loaded.
 */
#include <linux/jump_label.h>
#include <linux/module.h>

extern struct static_key_false frozen_key_of_kernel;

/* KEY_ADDRESS */
asm(".globl frozen_key_of_kernel\n"
    ".set frozen_key_of_kernel, 0x1122334455667788\n");

static int __init frozen_key_init(void)
{
	if (static_branch_unlikely(&frozen_key_of_kernel))
		pr_info("frozen_key: on\n");
	return 0;
}

static void __exit frozen_key_exit(void)
{
	if (static_branch_unlikely(&frozen_key_of_kernel))
		pr_info("frozen_key: still on\n");
}

module_init(frozen_key_init);
module_exit(frozen_key_exit);
MODULE_DESCRIPTION("branches on a key that it knows by address");
MODULE_LICENSE("GPL");
