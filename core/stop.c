// SPDX-License-Identifier: GPL-2.0
/*
 * Inside the stop: check, then write.
 *
 * No processor vendor promises that five bytes are fetched as one where they
 * cross an eight-byte boundary, and nearly every site does.  The stop masks
 * interrupts, but not NMIs and machine checks, and leaving it does not serialise
 * instruction fetch.  So the jumps are written in the three steps that the
 * kernel's own text_poke_bp_batch() uses, with rendezvous in place of IPIs:
 *
 *	1. an INT3 over the first byte of each site; all CPUs serialise, acknowledge
 *	2. the bytes behind it;			     all CPUs serialise, acknowledge
 *	3. the first byte;			     all CPUs serialise, acknowledge
 *
 * An acknowledgment is given outside NMI context.  So an NMI that began before
 * step 1 has ended by its acknowledgment, and one that comes later meets either
 * the INT3 (poke.c sends it on) or the finished jump.  No CPU can be between.
 * The same holds backwards for undo: after the last acknowledgment no NMI can
 * still be in the new code.
 *
 * Hooks that check are called before the check of the bytes, those that belong to
 * the switch after the last byte.  In between nothing is called,
 * allocated, printed or locked: whatever is called could be what is being
 * replaced.  The point of no return is the first INT3; nothing can fail after it.
 */
#include <linux/cpumask.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>
#include <linux/timekeeping.h>
#include <asm/sync_core.h>

#include "core.h"

#define KSPLICE_INT3	0xcc

enum ksplice_phase {
	KSPLICE_CHECKING,
	KSPLICE_ABORTED,
	KSPLICE_STEP_INT3,
	KSPLICE_STEP_TAIL,
	KSPLICE_STEP_FIRST,
	KSPLICE_PHASES,
};

/**
 * struct ksplice_stop - shared by all CPUs for one stop
 * @sw:		what to check and to write
 * @cpus:	how many take part
 * @tickets:	order of arrival; the first CPU to arrive is the elected one
 * @turn:	how many CPUs have checked their own stack; one at a time, since
 *		they share @sw's list of conflicts
 * @phase:	written by the elected CPU only
 * @acks:	by phase
 * @start_ns:	when the elected CPU arrived
 */
struct ksplice_stop {
	struct ksplice_switch	*sw;
	int			cpus;
	atomic_t		tickets;
	atomic_t		turn;
	int			phase;
	atomic_t		acks[KSPLICE_PHASES];
	u64			start_ns;
};

/* The kernel's get_unaligned() has moved to another header: 5f60d5f6bbc1. */
static __always_inline u64 ksplice_eight_bytes(const u8 *at)
{
	u64 bytes;

	__builtin_memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

/* Bits of the eight bytes at @k that are not as run-pre matching saw them, but for the
 * places that the kernel may rewrite at any time.
 */
static __always_inline u64 ksplice_differs(const struct ksplice_range *range, u32 k)
{
	return (ksplice_eight_bytes((const u8 *)range->start + k) ^
		ksplice_eight_bytes(range->body + k)) & ksplice_eight_bytes(range->mask + k);
}

/* Where @range is not as matched; its size if it is. */
static __always_inline u32 ksplice_first_difference(const struct ksplice_range *range)
{
	const u8 *found = (const u8 *)range->start;
	u32 k;

	for (k = 0; k < range->size; k++) {
		if ((READ_ONCE(found[k]) ^ range->body[k]) & range->mask[k])
			break;
	}
	return k;
}

/* Thirty-two bytes at a time: bodies are long, and all CPUs wait.  Of the last eight
 * some have been looked at before.
 */
static __always_inline bool ksplice_range_as_matched(const struct ksplice_range *range)
{
	u32 k = 0, size = range->size;

	if (size < sizeof(u64))
		return ksplice_first_difference(range) == size;
	for (; k + 4 * sizeof(u64) <= size; k += 4 * sizeof(u64)) {
		if (ksplice_differs(range, k) | ksplice_differs(range, k + 8) |
		    ksplice_differs(range, k + 16) | ksplice_differs(range, k + 24))
			return false;
	}
	for (; k + sizeof(u64) <= size; k += sizeof(u64)) {
		if (ksplice_differs(range, k))
			return false;
	}
	return !ksplice_differs(range, size - sizeof(u64));
}

static bool ksplice_body_as_matched(struct ksplice_switch *sw, const struct ksplice_update *update,
				    const struct ksplice_function *function)
{
	u32 i;

	for (i = 0; i < function->nr_ranges; i++) {
		const struct ksplice_range *range = &function->ranges[i];

		if (ksplice_range_as_matched(range))
			continue;
		sw->cause = KSPLICE_NO_MATCH;
		sw->bad_id = update->id;
		sw->bad_name = function->name;
		sw->bad_addr = range->start + ksplice_first_difference(range);
		return false;
	}
	return true;
}

/* Apply: the whole old code.  This finds kprobes anywhere in it. */
static bool ksplice_bodies_as_matched(struct ksplice_switch *sw)
{
	u32 i, j;

	for (i = 0; i < sw->nr_updates; i++) {
		const struct ksplice_update *update = sw->updates[i];

		for (j = 0; j < update->nr_functions; j++) {
			if (!ksplice_body_as_matched(sw, update, &update->functions[j]))
				return false;
		}
	}
	return true;
}

/* Undo: exactly our jump, or somebody else owns these bytes by now (a kprobe on
 * it would write its own idea of the first byte back later).
 */
static bool ksplice_sites_are_ours(struct ksplice_switch *sw)
{
	u32 i, k;

	for (i = 0; i < sw->nr_sites; i++) {
		for (k = 0; k < sw->sites[i].size; k++) {
			if (READ_ONCE(((u8 *)sw->sites[i].addr)[k]) == sw->sites[i].from[k])
				continue;
			sw->cause = KSPLICE_CODE_BUSY;
			sw->bad_id = sw->sites[i].id;
			sw->bad_name = sw->sites[i].name;
			sw->bad_addr = sw->sites[i].addr + k;
			return false;
		}
	}
	return true;
}

static bool ksplice_bytes_as_expected(struct ksplice_switch *sw)
{
	if (sw->direction == KSPLICE_APPLY)
		return ksplice_bodies_as_matched(sw);
	return ksplice_sites_are_ours(sw);
}

static __always_inline void ksplice_write_byte(struct ksplice_site *site, u32 i, u8 byte)
{
	WRITE_ONCE(site->alias[i], byte);
}

/* All CPUs but the elected one: serialise and acknowledge each phase. */
static void ksplice_follow(struct ksplice_stop *stop)
{
	int seen = KSPLICE_CHECKING;

	for (;;) {
		/* Pairs with the elected CPU's release: its writes come before the phase. */
		int phase = smp_load_acquire(&stop->phase);

		if (phase == seen) {
			cpu_relax();
			continue;
		}
		seen = phase;
		if (phase == KSPLICE_ABORTED)
			return;
		sync_core();
		atomic_inc(&stop->acks[phase]);
		if (phase == KSPLICE_STEP_FIRST)
			return;
	}
}

static __always_inline void ksplice_enter_phase(struct ksplice_stop *stop, int phase)
{
	/* Pairs with ksplice_follow(). */
	smp_store_release(&stop->phase, phase);
	sync_core();
	atomic_inc(&stop->acks[phase]);
	while (atomic_read(&stop->acks[phase]) != stop->cpus)
		cpu_relax();
	/* All CPUs have serialised before anything that comes next. */
	smp_mb();
}

static void ksplice_lead(struct ksplice_stop *stop)
{
	struct ksplice_switch *sw = stop->sw;
	u32 i, j;

	while (atomic_read(&stop->turn) != stop->cpus)
		cpu_relax();
	/* Pairs with ksplice_stop_cpu(): what the others found, before the verdict. */
	smp_mb();
	ksplice_check_tasks(sw);
	if (sw->cause == KSPLICE_OK && ksplice_any_pin_gone(sw->list))
		sw->cause = KSPLICE_TARGET_NOT_LOADED;
	if (sw->cause != KSPLICE_OK || !ksplice_ask_hooks(sw, KSPLICE_MOMENT_CHECK) ||
	    !ksplice_bytes_as_expected(sw)) {
		/* Pairs with ksplice_follow(). */
		smp_store_release(&stop->phase, KSPLICE_ABORTED);
		return;
	}

	ksplice_poke_begin(sw);
	for (i = 0; i < sw->nr_sites; i++)
		ksplice_write_byte(&sw->sites[i], 0, KSPLICE_INT3);
	ksplice_enter_phase(stop, KSPLICE_STEP_INT3);
	for (i = 0; i < sw->nr_sites; i++) {
		for (j = 1; j < sw->sites[i].size; j++)
			ksplice_write_byte(&sw->sites[i], j, sw->sites[i].to[j]);
	}
	ksplice_enter_phase(stop, KSPLICE_STEP_TAIL);
	for (i = 0; i < sw->nr_sites; i++)
		ksplice_write_byte(&sw->sites[i], 0, sw->sites[i].to[0]);
	ksplice_enter_phase(stop, KSPLICE_STEP_FIRST);
	ksplice_poke_end();

	/* The others have left ksplice_follow(), and wait in multi_cpu_stop(), with
	 * interrupts off, for this CPU to return.
	 */
	ksplice_tell_hooks(sw, KSPLICE_MOMENT_SWITCHED);
	sw->stopped_ns = ktime_get_mono_fast_ns() - stop->start_ns;
}

/* Runs on every online CPU, interrupts off. */
static int ksplice_stop_cpu(void *data)
{
	struct ksplice_stop *stop = data;
	int ticket = atomic_fetch_inc(&stop->tickets);

	if (!ticket)
		stop->start_ns = ktime_get_mono_fast_ns();
	stop->sw->stoppers[smp_processor_id()] = current;

	while (atomic_read(&stop->turn) != ticket)
		cpu_relax();
	/* What the CPU before us wrote to the list of conflicts, before we add to it. */
	smp_mb();
	ksplice_check_current(stop->sw);
	/* Pairs with the barrier above on the next CPU, and in ksplice_lead(). */
	smp_mb__before_atomic();
	atomic_inc(&stop->turn);

	if (!ticket)
		ksplice_lead(stop);
	else
		ksplice_follow(stop);
	return 0;
}

/**
 * ksplice_stop_all() - stop all CPUs, check, and write if all is quiet
 * @sw: prepared and mapped; gets verdict, conflicts and times
 *
 * Context: cpus_read_lock(), jump_label_lock() and text_mutex held.
 *
 * Return: 0 if the stop took place (the verdict is in @sw), or -errno.
 */
int ksplice_stop_all(struct ksplice_switch *sw)
{
	struct ksplice_stop stop = { .sw = sw, .cpus = num_online_cpus() };
	u64 before = ktime_get_ns();
	int ret;

	ret = stop_machine_cpuslocked(ksplice_stop_cpu, &stop, cpu_online_mask);
	sw->call_ns = ktime_get_ns() - before;
	return ret;
}
