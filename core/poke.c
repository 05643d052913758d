// SPDX-License-Identifier: GPL-2.0
/*
 * Writable aliases of the places to write, and the breakpoint handler.
 *
 * Kernel text is mapped read-only and executable.  The pages to be written are
 * mapped a second time, writable and not executable, for as long as one attempt
 * lasts: a standing writable alias of kernel text is a gift to attackers.
 *
 * While the jumps are being written every CPU is stopped with interrupts off,
 * but an NMI or a machine check still arrives, and its handler may call a
 * function that is half written.  So the first byte of a site is an INT3 until
 * the rest is in place, and this handler sends whoever meets it on to the new
 * code.  exc_int3() asks poke_int3_handler(), kprobes and then the die chain.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "core.h"

/* Set by the elected CPU around the writing, read by the breakpoint handler. */
static struct ksplice_switch *ksplice_poking;

static int ksplice_int3(struct notifier_block *nb, unsigned long event, void *data)
{
	struct die_args *args = data;
	struct ksplice_switch *sw;
	struct pt_regs *regs;
	u32 i;

	if (event != DIE_INT3)
		return NOTIFY_DONE;
	regs = args->regs;
	if (!regs || user_mode(regs))
		return NOTIFY_DONE;
	/* Pairs with ksplice_poke_begin(): the table before the pointer to it. */
	sw = smp_load_acquire(&ksplice_poking);
	if (!sw)
		return NOTIFY_DONE;
	for (i = 0; i < sw->nr_sites; i++) {
		if (regs->ip - 1 == sw->sites[i].addr) {
			regs->ip = sw->sites[i].target;
			return NOTIFY_STOP;
		}
	}
	return NOTIFY_DONE;
}

NOKPROBE_SYMBOL(ksplice_int3);

static struct notifier_block ksplice_int3_nb = {
	.notifier_call	= ksplice_int3,
	.priority	= INT_MAX,
};

int ksplice_poke_init(void)
{
	return register_die_notifier(&ksplice_int3_nb);
}

void ksplice_poke_exit(void)
{
	unregister_die_notifier(&ksplice_int3_nb);
}

void ksplice_poke_begin(struct ksplice_switch *sw)
{
	/* Pairs with ksplice_int3(). */
	smp_store_release(&ksplice_poking, sw);
}

/* Only after every CPU has acknowledged the last byte outside NMI context: no
 * handler that still needs the table can be running then.
 */
void ksplice_poke_end(void)
{
	/* Pairs with ksplice_int3(). */
	smp_store_release(&ksplice_poking, NULL);
}

static struct page *ksplice_text_page(unsigned long addr)
{
	if (core_kernel_text(addr))
		return virt_to_page((void *)addr);
	return vmalloc_to_page((void *)addr);
}

/**
 * ksplice_map_sites() - map every site's page, writable, side by side
 * @sw: its sites get their alias
 *
 * A site that straddles two pages gets both, next to each other in the alias.
 *
 * An update that has only hooks has no site, and nothing is mapped.
 *
 * Return: 0, -ENOMEM, or -EFAULT if an alias does not show the site's bytes.
 */
int ksplice_map_sites(struct ksplice_switch *sw)
{
	u8 found[KSPLICE_SITE_MAX];
	struct page **pages;
	u32 i, count = 0;
	int ret = 0;

	if (!sw->nr_sites)
		return 0;
	pages = kvcalloc(2 * sw->nr_sites, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return -ENOMEM;
	for (i = 0; i < sw->nr_sites; i++) {
		unsigned long addr = sw->sites[i].addr;
		unsigned long last = addr + sw->sites[i].size - 1;

		pages[count] = ksplice_text_page(addr);
		if (!pages[count++])
			goto fault;
		if ((addr & PAGE_MASK) == (last & PAGE_MASK))
			continue;
		pages[count] = ksplice_text_page(last);
		if (!pages[count++])
			goto fault;
	}
	sw->pages = vmap(pages, count, VM_MAP, PAGE_KERNEL);
	if (!sw->pages) {
		ret = -ENOMEM;
		goto out;
	}
	count = 0;
	for (i = 0; i < sw->nr_sites; i++) {
		struct ksplice_site *site = &sw->sites[i];
		unsigned long last = site->addr + site->size - 1;

		site->alias = sw->pages + count * PAGE_SIZE + offset_in_page(site->addr);
		count += (site->addr & PAGE_MASK) == (last & PAGE_MASK) ? 1 : 2;
		/* A module may go by force meanwhile, and its memory. */
		if (copy_from_kernel_nofault(found, (void *)site->addr, site->size) ||
		    memcmp(site->alias, found, site->size))
			goto fault;
	}
	goto out;

fault:
	ksplice_unmap_sites(sw);
	ret = -EFAULT;
out:
	kvfree(pages);
	return ret;
}

void ksplice_unmap_sites(struct ksplice_switch *sw)
{
	if (!sw->pages)
		return;
	vunmap(sw->pages);
	/* vunmap() is lazy; the alias must be gone from every TLB now. */
	vm_unmap_aliases();
	sw->pages = NULL;
}
