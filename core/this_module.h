/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What modpost would write into a .mod.c file.  Neither the core nor an update
 * goes through modpost: both are linked on the machine that they run on, where
 * no compiler is.  struct module has to come from the kernel's own headers: 6.1
 * does not check its size, and a wrong one corrupts memory.
 *
 * Include once in a module, after everything else.
 */
#ifndef INCLUDE_VERMAGIC
#error "define INCLUDE_VERMAGIC before the first include"
#endif
#include <linux/export.h>
#include <linux/module.h>
#include <linux/vermagic.h>

MODULE_INFO(vermagic, VERMAGIC_STRING);
MODULE_INFO(name, KBUILD_MODNAME);
#ifdef CONFIG_RETPOLINE
MODULE_INFO(retpoline, "Y");
#endif

__visible struct module __this_module __section(".gnu.linkonce.this_module") = {
	.name	= KBUILD_MODNAME,
	.init	= init_module,
	.exit	= cleanup_module,
	.arch	= MODULE_ARCH_INIT,
};
