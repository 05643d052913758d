// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the core that only a standalone one has: what modpost would add.
 * module_init() and module_exit() in main.c give the names that are used here.
 */
#define INCLUDE_VERMAGIC
#include "this_module.h"
