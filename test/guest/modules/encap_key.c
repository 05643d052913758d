// SPDX-License-Identifier: GPL-2.0
/*
 * Holds a static key of the kernel on for as long as this module is loaded:
 * udp_encap_needed_key, which the kernel turns on with the first tunnel over UDP.
 * Each branch on it (net/ipv4/udp.c has several) is a nop while the key is off and a
 * jump while it is on.  Sockets that are no tunnels do not notice: all that the jump
 * leads to is a look at what kind of socket it is.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <net/udp.h>

static int __init encap_key_init(void)
{
	static_branch_inc(&udp_encap_needed_key);
	return 0;
}

static void __exit encap_key_exit(void)
{
	static_branch_dec(&udp_encap_needed_key);
}

module_init(encap_key_init);
module_exit(encap_key_exit);
MODULE_DESCRIPTION("holds udp_encap_needed_key on");
MODULE_LICENSE("GPL");
