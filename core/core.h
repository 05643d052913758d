/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the core's own files share.  Data flows one way: control.c and entry.c (what
 * user space asks) -> change.c (the stage of one update or of several) -> attempt.c (one
 * try under all locks) -> stop.c (inside the stop), which uses safe_point.c and
 * poke.c.  update.c has the list of all updates, pins.c what they hold and stand on.
 */
#ifndef KSPLICE_CORE_H
#define KSPLICE_CORE_H

#include <linux/kallsyms.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/srcu.h>

#include "ksplice.h"

/* What the kernel does not export, and no header for modules declares; bound
 * by unique name when the core is linked.
 */
struct task_struct *idle_task(int cpu);
extern struct srcu_struct tasks_rcu_exit_srcu;
extern struct mutex module_mutex;

#define KSPLICE_CONFLICTS_MAX	128
#define KSPLICE_ATTEMPTS	5

/* Updates that are switched in one stop. */
#define KSPLICE_LIST_MAX	64

/* More than anybody needs, so that a program that runs wild ends there. */
#define KSPLICE_PINS_MAX	4096
#define KSPLICE_ENTRIES_MAX	4096

enum ksplice_stage {
	KSPLICE_PREPARING,
	KSPLICE_APPLIED,
	KSPLICE_REVERSED,
};

/* Names in abort_names[], entry.c: they are interface. */
enum ksplice_abort {
	KSPLICE_OK,
	KSPLICE_NO_MATCH,
	KSPLICE_CODE_BUSY,
	KSPLICE_MODULE_BUSY,
	KSPLICE_OUT_OF_MEMORY,
	KSPLICE_UNEXPECTED_RUNNING_TASK,
	KSPLICE_TARGET_NOT_LOADED,
	KSPLICE_CALL_FAILED,
	KSPLICE_COLD_UPDATE_LOADED,
	KSPLICE_UNEXPECTED,
};

enum ksplice_direction {
	KSPLICE_APPLY,
	KSPLICE_UNDO,
};

/* Where in a change of stage hooks are called: the order of enum ksplice_hook_kind. */
enum ksplice_moment {
	KSPLICE_MOMENT_PRE,
	KSPLICE_MOMENT_CHECK,
	KSPLICE_MOMENT_SWITCHED,
	KSPLICE_MOMENT_POST,
	KSPLICE_MOMENT_FAIL,
};

/**
 * struct ksplice_conflict - a task that was in the way
 * @task:	only to tell it from others, it may be gone; NULL for tasks that have left
 *		the task list, of which nothing is known
 * @pid:	0 for those, and for all idle tasks
 * @comm:	its name
 * @name:	what it was in: a function, or the update's module; read-only data of
 *		the core or of the update module
 * @addr:	the return address that says so, 0 if it is not one
 */
struct ksplice_conflict {
	const struct task_struct	*task;
	pid_t				pid;
	char				comm[TASK_COMM_LEN];
	const char			*name;
	unsigned long			addr;
};

/**
 * struct ksplice_busy - code that no task may be in while it is switched
 * @start:	first address that counts
 * @end:	last address that counts, inclusive: a call that never returns may
 *		be a function's last instruction, and its return address is the end
 * @name:	for the report
 *
 * A range with an entry starts at entry + 1, see KSPLICE_RANGE_ENTRY.
 */
struct ksplice_busy {
	unsigned long	start;
	unsigned long	end;
	const char	*name;
};

/**
 * struct ksplice_site - a place where a jump is written or taken out
 * @addr:	run address
 * @id:		of the update, for the report
 * @name:	the function's, for the report
 * @alias:	the same bytes, writable, mapped for the time of one attempt
 * @target:	where a task that meets our INT3 there goes on
 * @from:	what must be there, @size bytes
 * @to:		what is written
 * @size:	at most KSPLICE_SITE_MAX
 */
#define KSPLICE_SITE_MAX	20
struct ksplice_site {
	unsigned long	addr;
	const char	*id;
	const char	*name;
	u8		*alias;
	unsigned long	target;
	u8		from[KSPLICE_SITE_MAX];
	u8		to[KSPLICE_SITE_MAX];
	u32		size;
};

/**
 * struct ksplice_switch - everything that one attempt needs, allocated before
 * @direction:	apply or undo
 * @updates:	whose functions, in the order in which their hooks are called: a lower one
 *		before those on top of it at apply, after them at undo
 * @list:	their entries, all `switching`
 * @nr_updates:	number of @updates
 * @nr_asked:	of these, whose pre hooks were reached: those that hear of a failure
 * @sites:	one for each function, those of the last update first (attempt.c); none
 *		if there are only hooks
 * @nr_sites:	number of @sites
 * @busy:	sorted by start
 * @nr_busy:	number of @busy
 * @pages:	vmap()ed area behind the aliases
 * @stoppers:	by CPU, who runs there inside the stop
 * @conflicts:	who was in the way in the last attempt
 * @nr_conflicts: number of @conflicts, at most KSPLICE_CONFLICTS_MAX
 * @conflicts_lost: there were more
 * @cause:	verdict of the last attempt
 * @failed_hook: which hook refused, if @cause is call_failed
 * @failed_update: whose hook that is
 * @hook_result: what it returned
 * @bad_name:	function whose bytes were not as expected, or NULL
 * @bad_id:	of whose update
 * @bad_addr:	where; never shown to user space, only to the kernel log under %pS
 * @stopped_ns:	from the first CPU inside the stop to the last byte written, and the
 *		end of the hooks behind it
 * @call_ns:	around stop_machine_cpuslocked()
 * @tasks:	tasks looked at inside the stop
 * @scanned:	of these, without a reliable unwind: every word of the stack
 * @prechecked:	tasks that were not looked at again: they had not run since the
 *		pre-check
 * @seen:	table of the pre-check, or NULL; for the time of one attempt
 * @nr_seen:	tasks in it
 * @next_seen:	the first of them that the walk inside the stop has not come to
 * @stacks:	for the debug log, or NULL
 * @nr_stacks:	number of @stacks
 * @keeping:	a stack is walked to be kept, not checked
 */
struct ksplice_switch {
	enum ksplice_direction		direction;
	const struct ksplice_update	*updates[KSPLICE_LIST_MAX];
	const struct ksplice_list	*list;
	u32				nr_updates;
	u32				nr_asked;
	struct ksplice_site		*sites;
	u32				nr_sites;
	struct ksplice_busy		*busy;
	u32				nr_busy;
	void				*pages;
	struct task_struct		**stoppers;
	struct ksplice_conflict		*conflicts;
	u32				nr_conflicts;
	bool				conflicts_lost;
	enum ksplice_abort		cause;
	const struct ksplice_hook	*failed_hook;
	const struct ksplice_update	*failed_update;
	int				hook_result;
	const char			*bad_name;
	const char			*bad_id;
	unsigned long			bad_addr;
	u64				stopped_ns;
	u64				call_ns;
	u32				tasks;
	u32				scanned;
	u32				prechecked;
	struct ksplice_seen		*seen;
	u32				nr_seen;
	u32				next_seen;
	struct ksplice_stack		*stacks;
	u32				nr_stacks;
	bool				keeping;
};

#define KSPLICE_SRCVERSION_MAX	24

/**
 * struct ksplice_pin - a module that may not go away, or that was skipped
 * @list:	in ksplice_entry.pins
 * @module:	NULL if it was not loaded and ksplice_entry.partial was set
 * @name:	as in /proc/modules
 * @srcversion:	of the fixed module that takes its place; empty unless it was skipped
 *		(skipped.c)
 * @gone:	unloaded by force in spite of our reference; its memory is never
 *		touched again.  Written by the module notifier.
 */
struct ksplice_pin {
	struct list_head	list;
	struct module		*module;
	char			name[MODULE_NAME_LEN];
	char			srcversion[KSPLICE_SRCVERSION_MAX + 1];
	bool			gone;
};

static inline bool ksplice_is_skipped(const struct ksplice_pin *pin)
{
	return pin->srcversion[0];
}

/**
 * struct ksplice_entry - an update's place under /sys/kernel/ksplice
 * @kobj:	the directory; frees the entry with its last reference
 * @list:	in ksplice_entries
 * @id:		its name
 * @stage:	what state the kernel is in
 * @cause:	why the last change of stage was not made
 * @debug:	log every attempt
 * @partial:	a target that is not loaded is skipped
 * @switching:	a change of stage is under way; ksplice_mutex may be free
 * @forgotten:	about to be unlinked; not found any more, and a sysfs access that was
 *		already waiting gets -ENODEV
 * @update:	NULL until the module has registered
 * @pins:	held from `pin` to `forget`
 * @conflicts:	text of the file of that name, PAGE_SIZE
 * @failed_hook: name of the hook that refused the last change of stage, or empty
 * @hook_result: what it returned
 * @attempts:	how many the last change of stage took
 * @switched:	number of the last switch, counted since the core was loaded; updates
 *		that were switched in one stop have the same
 * @stopped_ns: see ksplice_switch
 * @call_ns:	see ksplice_switch
 * @tasks:	see ksplice_switch
 * @scanned:	see ksplice_switch
 * @prechecked:	see ksplice_switch
 *
 * All but @kobj and @pins' gone flags are protected by ksplice_mutex; while
 * @switching is set only the one who set it writes.  @switching is written under
 * ksplice_lists_lock, too, and @stage before it is cleared: the module notifier
 * reads both.
 */
struct ksplice_entry {
	struct kobject			kobj;
	struct list_head		list;
	char				id[KSPLICE_ID_MAX + 1];
	enum ksplice_stage		stage;
	enum ksplice_abort		cause;
	bool				debug;
	bool				partial;
	bool				switching;
	bool				forgotten;
	const struct ksplice_update	*update;
	struct list_head		pins;
	char				*conflicts;
	char				failed_hook[KSYM_NAME_LEN];
	int				hook_result;
	u32				attempts;
	u64				switched;
	u64				stopped_ns;
	u64				call_ns;
	u32				tasks;
	u32				scanned;
	u32				prechecked;
};

/**
 * struct ksplice_list - updates whose stage changes in one stop
 * @entries:	no entry twice; the order is that of ksplice_switch.updates
 * @count:	1 to KSPLICE_LIST_MAX
 */
struct ksplice_list {
	struct ksplice_entry	*entries[KSPLICE_LIST_MAX];
	u32			count;
};

/* update.c */
extern struct mutex ksplice_mutex;
extern struct list_head ksplice_entries;
extern spinlock_t ksplice_lists_lock;
struct ksplice_entry *ksplice_find(const char *id);
int ksplice_may_add(const char *id);
void ksplice_link(struct ksplice_entry *entry);
void ksplice_unlink(struct ksplice_entry *entry);

/* pins.c */
int ksplice_may_pin(const struct ksplice_entry *entry, const char *name);
struct ksplice_pin *ksplice_find_pin(const struct ksplice_entry *entry, const char *name);
int ksplice_pin(struct ksplice_entry *entry, const char *name);
void ksplice_unpin_all(struct ksplice_entry *entry);
void ksplice_module_gone(struct module *module);
bool ksplice_any_pin_gone(const struct ksplice_list *list);
const struct ksplice_entry *ksplice_out_of_order(const struct ksplice_list *list, u32 index,
						 enum ksplice_direction direction);

/* change.c */
int ksplice_change_stage(const struct ksplice_list *list, enum ksplice_direction direction);

/* report.c */
void ksplice_print_conflicts(struct ksplice_entry *entry, const struct ksplice_switch *sw);
void ksplice_log_attempt(const struct ksplice_list *list, const struct ksplice_switch *sw);

/* skipped.c */
int ksplice_skip(struct ksplice_entry *entry, const char *name, const char *srcversion);
enum ksplice_abort ksplice_check_skipped(struct ksplice_entry *entry,
					 enum ksplice_direction direction);
int ksplice_module_coming(struct module *module);

/* bounds.c */

/* What a change of stage still handles in no time: every range is compared with
 * every other, and hooks of the switch run inside the stop.  Of one update, and of
 * all updates of one change together (change.c).
 */
#define KSPLICE_FUNCTIONS_MAX	10000
#define KSPLICE_RANGES_MAX	20000
#define KSPLICE_HOOKS_MAX	10000

bool ksplice_within_text(const struct module *owner, unsigned long addr);
int ksplice_check_bounds(const struct ksplice_update *update);

/* validate.c */
int ksplice_validate(struct ksplice_entry *entry, const struct ksplice_update *update);

/* attempt.c */
struct ksplice_switch *ksplice_switch_alloc(const struct ksplice_list *list,
					    enum ksplice_direction direction);
void ksplice_switch_free(struct ksplice_switch *sw);
enum ksplice_abort ksplice_attempt(struct ksplice_switch *sw);

/* hooks.c */
bool ksplice_ask_hooks(struct ksplice_switch *sw, enum ksplice_moment moment);
void ksplice_tell_hooks(const struct ksplice_switch *sw, enum ksplice_moment moment);
const char *ksplice_check_hook(const struct ksplice_update *update,
			       const struct ksplice_hook *hook);

/* stop.c */
int ksplice_stop_all(struct ksplice_switch *sw);

/* precheck.c */
void ksplice_precheck(struct ksplice_switch *sw);
void ksplice_precheck_done(struct ksplice_switch *sw);

/* stacks.c */
void ksplice_stacks_alloc(struct ksplice_switch *sw);
bool ksplice_stack_begin(struct ksplice_switch *sw, struct task_struct *task);
void ksplice_stack_word(struct ksplice_switch *sw, unsigned long word);
void ksplice_stack_restart(struct ksplice_switch *sw);
void ksplice_stacks_print(const char *id, const struct ksplice_switch *sw);

/* safe_point.c */
bool ksplice_stack_is_clear(const struct ksplice_switch *sw, struct task_struct *task);
void ksplice_check_current(struct ksplice_switch *sw);
void ksplice_check_tasks(struct ksplice_switch *sw);

/* poke.c */
int ksplice_map_sites(struct ksplice_switch *sw);
void ksplice_unmap_sites(struct ksplice_switch *sw);
void ksplice_poke_begin(struct ksplice_switch *sw);
void ksplice_poke_end(void);
int ksplice_poke_init(void);
void ksplice_poke_exit(void);

/* entry.c */
const char *ksplice_abort_name(enum ksplice_abort cause);
struct ksplice_entry *ksplice_entry_alloc(const char *id);

/* control.c */
bool ksplice_is_whole(const char *buf, size_t count);
int ksplice_control_init(void);
void ksplice_control_exit(void);

#endif /* KSPLICE_CORE_H */
