// SPDX-License-Identifier: GPL-2.0
/*
 * An update's directory, /sys/kernel/ksplice/ID, and the files in it.
 *
 *	stage		0600	preparing, applied, reversed; write applied, reversed
 *	abort_cause	0400	why the last change was not made, or ok
 *	conflicts	0400	who was in the way: NAME PID FUNCTION...
 *	failed_hook	0400	the hook that refused, and what it returned: NAME RESULT
 *	debug		0600	0, 1: log every attempt
 *	partial		0600	0, 1: `pin` passes over a module that is not there,
 *				and `skip` may say which one takes its place
 *	pins		0400	MODULE BUILD-ID, or MODULE - if the kernel keeps none
 *	timing		0400	figures of the last change of stage, NAME VALUE
 *
 * What is written to `stage` is a list of one (control.c).  Updates that changed
 * together have the same account in all of these; `failed_hook` is that one's whose
 * hook it was.
 *
 * A stage change that is not allowed fails with EINVAL, as does every other word.
 *
 * Lifetime: the directory holds its entry, and who has a file of it open holds the
 * directory.  A file may be waited for when `forget` has marked the entry: who writes to
 * `stage` then gets -ENODEV.
 */
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "core.h"

static const char * const stage_names[] = {
	[KSPLICE_PREPARING]	= "preparing",
	[KSPLICE_APPLIED]	= "applied",
	[KSPLICE_REVERSED]	= "reversed",
};

static const char * const abort_names[] = {
	[KSPLICE_OK]				= "ok",
	[KSPLICE_NO_MATCH]			= "no_match",
	[KSPLICE_CODE_BUSY]			= "code_busy",
	[KSPLICE_MODULE_BUSY]			= "module_busy",
	[KSPLICE_OUT_OF_MEMORY]			= "out_of_memory",
	[KSPLICE_UNEXPECTED_RUNNING_TASK]	= "unexpected_running_task",
	[KSPLICE_TARGET_NOT_LOADED]		= "target_not_loaded",
	[KSPLICE_CALL_FAILED]			= "call_failed",
	[KSPLICE_COLD_UPDATE_LOADED]		= "cold_update_loaded",
	[KSPLICE_UNEXPECTED]			= "unexpected",
};

const char *ksplice_abort_name(enum ksplice_abort cause)
{
	return abort_names[cause];
}

static struct ksplice_entry *to_entry(struct kobject *kobj)
{
	return container_of(kobj, struct ksplice_entry, kobj);
}

static ssize_t stage_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", stage_names[READ_ONCE(to_entry(kobj)->stage)]);
}

static ssize_t stage_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t count)
{
	struct ksplice_entry *entry = to_entry(kobj);
	struct ksplice_list list = { .entries = { entry }, .count = 1 };
	enum ksplice_direction direction;
	int ret;

	if (!ksplice_is_whole(buf, count))
		return -EINVAL;
	if (sysfs_streq(buf, "applied"))
		direction = KSPLICE_APPLY;
	else if (sysfs_streq(buf, "reversed"))
		direction = KSPLICE_UNDO;
	else
		return -EINVAL;

	mutex_lock(&ksplice_mutex);
	ret = entry->forgotten ? -ENODEV : ksplice_change_stage(&list, direction);
	mutex_unlock(&ksplice_mutex);
	return ret ? ret : count;
}

static ssize_t abort_cause_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", abort_names[READ_ONCE(to_entry(kobj)->cause)]);
}

static ssize_t conflicts_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	ssize_t length;

	mutex_lock(&ksplice_mutex);
	length = sysfs_emit(buf, "%s", to_entry(kobj)->conflicts);
	mutex_unlock(&ksplice_mutex);
	return length;
}

static ssize_t failed_hook_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct ksplice_entry *entry = to_entry(kobj);
	ssize_t length = 0;

	mutex_lock(&ksplice_mutex);
	if (entry->failed_hook[0])
		length = sysfs_emit(buf, "%s %d\n", entry->failed_hook, entry->hook_result);
	mutex_unlock(&ksplice_mutex);
	return length;
}

static ssize_t flag_store(struct kobject *kobj, bool *flag, const char *buf, size_t count)
{
	bool value;

	if (!ksplice_is_whole(buf, count))
		return -EINVAL;
	if (sysfs_streq(buf, "1"))
		value = true;
	else if (sysfs_streq(buf, "0"))
		value = false;
	else
		return -EINVAL;
	mutex_lock(&ksplice_mutex);
	*flag = value;
	mutex_unlock(&ksplice_mutex);
	return count;
}

static ssize_t debug_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_entry(kobj)->debug);
}

static ssize_t debug_store(struct kobject *kobj, struct kobj_attribute *attr,
			   const char *buf, size_t count)
{
	return flag_store(kobj, &to_entry(kobj)->debug, buf, count);
}

static ssize_t partial_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_entry(kobj)->partial);
}

static ssize_t partial_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	return flag_store(kobj, &to_entry(kobj)->partial, buf, count);
}

static ssize_t pins_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct ksplice_pin *pin;
	ssize_t length = 0;

	mutex_lock(&ksplice_mutex);
	list_for_each_entry(pin, &to_entry(kobj)->pins, list) {
#ifdef CONFIG_STACKTRACE_BUILD_ID
		if (pin->module && !pin->gone) {
			length += sysfs_emit_at(buf, length, "%s %*phN\n", pin->name,
						BUILD_ID_SIZE_MAX, pin->module->build_id);
			continue;
		}
#endif
		length += sysfs_emit_at(buf, length, "%s -\n", pin->name);
	}
	mutex_unlock(&ksplice_mutex);
	return length;
}

static ssize_t timing_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct ksplice_entry *entry = to_entry(kobj);
	ssize_t length;

	mutex_lock(&ksplice_mutex);
	length = sysfs_emit(buf, "attempts %u\nstopped_ns %llu\ncall_ns %llu\n",
			    entry->attempts, entry->stopped_ns, entry->call_ns);
	length += sysfs_emit_at(buf, length, "switch %llu\n", entry->switched);
	length += sysfs_emit_at(buf, length, "tasks %u\nscanned %u\nprechecked %u\n",
				entry->tasks, entry->scanned, entry->prechecked);
	mutex_unlock(&ksplice_mutex);
	return length;
}

static struct kobj_attribute stage_attr = __ATTR(stage, 0600, stage_show, stage_store);
static struct kobj_attribute abort_cause_attr = __ATTR(abort_cause, 0400, abort_cause_show, NULL);
static struct kobj_attribute conflicts_attr = __ATTR(conflicts, 0400, conflicts_show, NULL);
static struct kobj_attribute failed_hook_attr = __ATTR(failed_hook, 0400, failed_hook_show, NULL);
static struct kobj_attribute debug_attr = __ATTR(debug, 0600, debug_show, debug_store);
static struct kobj_attribute partial_attr = __ATTR(partial, 0600, partial_show, partial_store);
static struct kobj_attribute pins_attr = __ATTR(pins, 0400, pins_show, NULL);
static struct kobj_attribute timing_attr = __ATTR(timing, 0400, timing_show, NULL);

static struct attribute *entry_attrs[] = {
	&stage_attr.attr,
	&abort_cause_attr.attr,
	&conflicts_attr.attr,
	&failed_hook_attr.attr,
	&debug_attr.attr,
	&partial_attr.attr,
	&pins_attr.attr,
	&timing_attr.attr,
	NULL,
};
ATTRIBUTE_GROUPS(entry);

static void entry_release(struct kobject *kobj)
{
	struct ksplice_entry *entry = to_entry(kobj);

	kfree(entry->conflicts);
	kfree(entry);
}

static const struct kobj_type entry_type = {
	.release	= entry_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= entry_groups,
};

/**
 * ksplice_entry_alloc() - an entry that nobody knows yet
 * @id:	a valid one
 *
 * Return: to be let go with kobject_put(), or NULL.
 */
struct ksplice_entry *ksplice_entry_alloc(const char *id)
{
	struct ksplice_entry *entry;

	entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return NULL;
	entry->conflicts = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!entry->conflicts) {
		kfree(entry);
		return NULL;
	}
	INIT_LIST_HEAD(&entry->list);
	INIT_LIST_HEAD(&entry->pins);
	strscpy(entry->id, id, sizeof(entry->id));
	kobject_init(&entry->kobj, &entry_type);
	return entry;
}
