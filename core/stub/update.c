// SPDX-License-Identifier: GPL-2.0
/*
 * The part of an update module that is the same in all of them.
 *
 * It is compiled once for a kernel and carries what only that kernel's headers
 * know: struct module and the version magic.  The linker on the machine adds
 * the replacement code, defines the ksplice_update_* symbols below from what
 * matching found, and writes the module's name into struct module and .modinfo,
 * in place of the one that this file was compiled with.
 */
#define INCLUDE_VERMAGIC
#include <linux/module.h>

#include "../ksplice.h"

static struct ksplice_update update = {
	.owner		= THIS_MODULE,
	.id		= ksplice_update_id,
	.functions	= ksplice_update_functions,
	.hooks		= ksplice_update_hooks,
	.interface	= KSPLICE_INTERFACE,
};

int init_module(void)
{
	update.nr_functions = ksplice_update_nr_functions;
	update.nr_hooks = ksplice_update_nr_hooks;
	update.flags = ksplice_update_flags;
	return ksplice_register(&update);
}

void cleanup_module(void)
{
	ksplice_unregister(&update);
}

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A hot update of the running kernel");

#include "../this_module.h"
