/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the part of a module lies that stays when its init has run.
 *
 * That was one block, its text first, until ac3b43283923 ("module: replace
 * module_layout with module_memory") made a region of each kind of contents.  The
 * same commit brought for_class_mod_mem_type(), by which it is known here.
 */
#ifndef KSPLICE_MODULE_MEMORY_H
#define KSPLICE_MODULE_MEMORY_H

#include <linux/module.h>

#ifdef for_class_mod_mem_type

static inline unsigned long ksplice_text_start(const struct module *module)
{
	return (unsigned long)module->mem[MOD_TEXT].base;
}

static inline unsigned long ksplice_text_size(const struct module *module)
{
	return module->mem[MOD_TEXT].size;
}

/* Bytes from @addr to the end of the block or region that it lies in, or 0. */
static inline unsigned long ksplice_module_room(const struct module *module, unsigned long addr)
{
	for_class_mod_mem_type(type, core) {
		unsigned long offset = addr - (unsigned long)module->mem[type].base;

		if (offset < module->mem[type].size)
			return module->mem[type].size - offset;
	}
	return 0;
}

#else

static inline unsigned long ksplice_text_start(const struct module *module)
{
	return (unsigned long)module->core_layout.base;
}

static inline unsigned long ksplice_text_size(const struct module *module)
{
	return module->core_layout.text_size;
}

static inline unsigned long ksplice_module_room(const struct module *module, unsigned long addr)
{
	unsigned long offset = addr - (unsigned long)module->core_layout.base;

	return offset < module->core_layout.size ? module->core_layout.size - offset : 0;
}

#endif

#endif /* KSPLICE_MODULE_MEMORY_H */
