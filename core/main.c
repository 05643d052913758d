// SPDX-License-Identifier: GPL-2.0
/*
 * The core: loads, unloads, and hears of modules that come and go.
 *
 * Standalone, it is an ordinary module of an unmodified kernel.  What it needs and
 * the kernel does not export (text_mutex, stop_machine_cpuslocked(), ...) was bound
 * by address when it was linked on this machine, by name and unique in
 * kallsyms, after the kernel's own code had been matched.  Integrated, it is part
 * of a kernel that was made for it (CONFIG_KSPLICE), and the same but for
 * standalone.c, which is left out.
 *
 * The core cannot go while an update knows it: every entry under
 * /sys/kernel/ksplice holds a reference (control.c, `create` to `forget`).
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/module.h>

#include "core.h"

/*
 * Called with the notifier chain's rwsem held for reading: may take leaf locks
 * only, and must neither load a module nor (un)register a notifier.  An ordinary
 * unload of a pinned module cannot happen; CONFIG_MODULE_FORCE_UNLOAD can.
 */
static int ksplice_module_event(struct notifier_block *nb, unsigned long event, void *data)
{
	if (event == MODULE_STATE_COMING)
		return notifier_from_errno(ksplice_module_coming(data));
	if (event == MODULE_STATE_GOING)
		ksplice_module_gone(data);
	return NOTIFY_DONE;
}

static struct notifier_block ksplice_module_nb = {
	.notifier_call = ksplice_module_event,
};

static int ksplice_init(void)
{
	int ret;

	ret = register_module_notifier(&ksplice_module_nb);
	if (ret)
		return ret;
	ret = ksplice_poke_init();
	if (ret)
		goto out_notifier;
	ret = ksplice_control_init();
	if (ret)
		goto out_poke;
	return 0;

out_poke:
	ksplice_poke_exit();
out_notifier:
	unregister_module_notifier(&ksplice_module_nb);
	return ret;
}

static void ksplice_exit(void)
{
	ksplice_control_exit();
	ksplice_poke_exit();
	unregister_module_notifier(&ksplice_module_nb);
}

module_init(ksplice_init);
module_exit(ksplice_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Hot updates of the running kernel");
