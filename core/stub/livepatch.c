// SPDX-License-Identifier: GPL-2.0
/*
 * The part of an update module that is the same in all of them, where the
 * kernel's own livepatch switches the update in place of the core.
 *
 * It is compiled once for a kernel, as stub/update.c is, since the structures of
 * livepatch are known to that kernel's headers only.  The linker on the machine
 * adds the same replacement code and tables, and those of livepatch.h.
 *
 * A module that was linked at rest (src/link/link-at-rest.ts) knows no address.  Those
 * of the kernel are filled in before init runs, those of a module by
 * klp_enable_patch(), so code is compared in the first callback.
 *
 * Contexts: init and exit run in a process.  The callbacks run in one, too, with
 * klp_mutex held: inside of klp_enable_patch(), in the writer of the sysfs file
 * `enabled`, or in the work that completes a transition.  Nothing here is reached
 * from two of them at a time.
 */
#define pr_fmt(fmt) "ksplice: " fmt
#define INCLUDE_VERMAGIC
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>

#include "../grace.h"
#include "../ksplice.h"
#include "livepatch.h"

static struct klp_patch patch = {
	.mod	= THIS_MODULE,
};

static struct klp_func *functions;
static struct module **pinned;
static u32 nr_pinned;

/* Which hooks are due when a transition ends: it may end where it began. */
static enum {
	UNTOUCHED,
	BEGUN,
	APPLIED,
} reached;

static void call_hooks(enum ksplice_hook_kind kind)
{
	void (*hook)(void);
	u32 i;

	for (i = 0; i < ksplice_update_nr_hooks; i++) {
		if (ksplice_update_hooks[i].kind != kind)
			continue;
		hook = (void *)ksplice_update_hooks[i].function;
		hook();
	}
}

/* Is the old code as run-pre matching saw it?  Read as data: it may be gone. */
static bool is_unchanged(const struct ksplice_range *range)
{
	const u8 *at = (const u8 *)range->start;
	u32 i;
	u8 byte;

	for (i = 0; i < range->size; i++) {
		if (copy_from_kernel_nofault(&byte, at + i, 1))
			return false;
		if ((byte ^ range->body[i]) & range->mask[i])
			return false;
	}
	return true;
}

static int check_code(void)
{
	const struct ksplice_function *function = ksplice_update_functions;
	u32 i, j;

	for (i = 0; i < ksplice_update_nr_functions; i++, function++) {
		for (j = 0; j < function->nr_ranges; j++) {
			if (is_unchanged(&function->ranges[j]))
				continue;
			pr_notice("%s: the code of %s has changed since it was matched\n",
				  ksplice_update_id, function->name);
			return -ESTALE;
		}
	}
	return 0;
}

/* Called once, before anything is replaced: by the first object. */
static int ksplice_before_patch(struct klp_object *object)
{
	int (*hook)(void);
	int ret;
	u32 i;

	ret = check_code();
	if (ret)
		return ret;
	reached = BEGUN;
	for (i = 0; i < ksplice_update_nr_hooks; i++) {
		if (ksplice_update_hooks[i].kind != KSPLICE_HOOK_PRE_APPLY)
			continue;
		hook = (void *)ksplice_update_hooks[i].function;
		ret = hook();
		if (!ret)
			continue;
		pr_notice("%s: hook %s returned %d\n", ksplice_update_id,
			  ksplice_update_hooks[i].name, ret);
		return ret < 0 ? ret : -EPERM;
	}
	/* An address of something new may be kept from now on: the module stays. */
	if (ksplice_update_flags & KSPLICE_UPDATE_RESIDENT)
		__module_get(THIS_MODULE);
	return 0;
}

/* Every task runs the new code: after an apply, or an undo that was given up. */
static void ksplice_after_patch(struct klp_object *object)
{
	call_hooks(reached == APPLIED ? KSPLICE_HOOK_FAIL_REVERSE : KSPLICE_HOOK_POST_APPLY);
	reached = APPLIED;
}

/* Every task runs the old code: after an undo, or an apply that was given up. */
static void ksplice_after_unpatch(struct klp_object *object)
{
	call_hooks(reached == APPLIED ? KSPLICE_HOOK_POST_REVERSE : KSPLICE_HOOK_FAIL_APPLY);
	reached = UNTOUCHED;
}

static void unpin_modules(void)
{
	while (nr_pinned)
		module_put(pinned[--nr_pinned]);
	kfree(pinned);
}

/*
 * Absolute addresses take no reference to the module that they are in, and
 * livepatch lets a module go that it has patched.  The update was matched with
 * these modules, where they were.
 */
static int pin_modules(void)
{
	const struct ksplice_livepatch_pin *wanted = ksplice_livepatch_pins;
	struct module *module;
	u32 i;

	pinned = kcalloc(ksplice_livepatch_nr_pins, sizeof(*pinned), GFP_KERNEL);
	if (!pinned)
		return -ENOMEM;
	for (i = 0; i < ksplice_livepatch_nr_pins; i++) {
		preempt_disable();
		module = wanted[i].base ? __module_address(wanted[i].base) :
					  find_module(wanted[i].name);
		if (module && (strcmp(module->name, wanted[i].name) || !try_module_get(module)))
			module = NULL;
		preempt_enable();
		if (!module) {
			pr_notice("%s: the module %s is not %s\n", ksplice_update_id,
				  wanted[i].name, wanted[i].base ? "where it was" : "loaded");
			return -ENXIO;
		}
		pinned[nr_pinned++] = module;
	}
	return 0;
}

/* Is this the kernel that the module was linked for, and as linking took it to be? */
static int check_kernel(void)
{
	const struct new_utsname *kernel = init_utsname();

	if (!*ksplice_livepatch_version)
		return 0;
	if (strcmp(kernel->release, ksplice_livepatch_release) ||
	    strcmp(kernel->version, ksplice_livepatch_version)) {
		pr_notice("%s: linked for %s, %s\n", ksplice_update_id,
			  ksplice_livepatch_release, ksplice_livepatch_version);
		return -ENOEXEC;
	}
	if (ksplice_livepatch_preemption && *ksplice_livepatch_preemption) {
		pr_notice("%s: a cold part cannot be watched on a preemptible kernel\n",
			  ksplice_update_id);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Fills the structures of livepatch.  Each list ends with an empty element. */
static int fill_patch(void)
{
	const struct ksplice_function *function = ksplice_update_functions;
	u32 i, j, position = 0, slot = 0;
	struct klp_object *objects;

	objects = kcalloc(ksplice_livepatch_nr_objects + 1, sizeof(*objects), GFP_KERNEL);
	functions = kcalloc(ksplice_update_nr_functions + ksplice_livepatch_nr_objects,
			    sizeof(*functions), GFP_KERNEL);
	patch.objs = objects;
	if (!objects || !functions)
		return -ENOMEM;
	for (i = 0; i < ksplice_livepatch_nr_objects; i++) {
		objects[i].name = ksplice_livepatch_objects[i].name;
		objects[i].funcs = &functions[slot];
		for (j = 0; j < ksplice_livepatch_objects[i].nr_functions; j++) {
			functions[slot].old_name = function->name;
			functions[slot].new_func = (void *)function->new_addr;
			functions[slot].old_sympos = ksplice_livepatch_positions[position];
			slot++;
			position++;
			function++;
		}
		slot++;
	}
	objects[0].callbacks.pre_patch = ksplice_before_patch;
	objects[0].callbacks.post_patch = ksplice_after_patch;
	objects[0].callbacks.post_unpatch = ksplice_after_unpatch;
	return 0;
}

/*
 * When livepatch goes back it looks for tasks in the functions that replaced
 * others, from start to end.  New functions and cold parts are in nobody's range
 * (a task that sleeps in one of them need not have its caller on the stack), and
 * the module would be unloaded under it.  So each replacement is said to reach to
 * the end of all replacement code; the first of them begins where that begins.
 */
static void watch_all_code(void)
{
	u32 i;

	for (i = 0; i < ksplice_update_nr_functions + ksplice_livepatch_nr_objects; i++) {
		if (functions[i].new_func)
			functions[i].new_size = (unsigned long)ksplice_livepatch_code_end -
						(unsigned long)functions[i].new_func;
	}
}

static void forget_update(void)
{
	kfree(functions);
	kfree(patch.objs);
	unpin_modules();
}

int init_module(void)
{
	int ret;

	ret = check_kernel();
	if (!ret)
		ret = pin_modules();
	if (!ret)
		ret = fill_patch();
	if (!ret) {
		ret = klp_enable_patch(&patch);
		if (!ret) {
			watch_all_code();
			return 0;
		}
		if (reached == BEGUN)
			call_hooks(KSPLICE_HOOK_FAIL_APPLY);
	}
	forget_update();
	return ret;
}

/* Livepatch holds a reference until every task has left the code for good. */
void cleanup_module(void)
{
	ksplice_wait_for_tasks();
	rcu_barrier();
	rcu_barrier_tasks();
	forget_update();
}

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A hot update of the running kernel");
MODULE_INFO(livepatch, "Y");

#include "../this_module.h"
