// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ksplice: what user space reads and writes.
 *
 *	interface	0444	KSPLICE_INTERFACE
 *	control		0200	create ID | pin ID MODULE | skip ID MODULE SRCVERSION |
 *				forget ID | apply ID... | reverse ID...
 *	ID/stage	0600	preparing, applied, reversed; write applied, reversed
 *	ID/abort_cause	0400	why the last change was not made, or ok
 *	ID/conflicts	0400	who was in the way: NAME PID FUNCTION...
 *	ID/failed_hook	0400	the hook that refused, and what it returned: NAME RESULT
 *	ID/debug	0600	0, 1: log every attempt
 *	ID/partial	0600	0, 1: `pin` passes over a module that is not loaded, and
 *				`skip` may say which module takes its place when it is
 *	ID/pins		0400	MODULE BUILD-ID, or MODULE - if the kernel keeps none
 *	ID/timing	0400	figures of the last change of stage, NAME VALUE
 *
 * `apply` and `reverse` change the stage of all these updates in one stop, or of none,
 * and what is written to `stage` is a list of one.  Below all of them is the same
 * account then; `failed_hook` is that one's whose hook it was.
 *
 * No address passes through here.  A stage change that is not allowed fails with
 * EINVAL, as does everything that is not one of these words, whole: sysfs hands in
 * at most a page, ended by a NUL, and one that was written itself is refused.
 *
 * Removing a directory waits for everyone who has one of its files open, and
 * these may wait for ksplice_mutex: so `forget` marks the entry forgotten under the
 * mutex, removes the directory after letting go, and unlinks the entry last.  Until
 * then its name is taken: sysfs dumps the stack of who adds a name twice.
 */
#define pr_fmt(fmt) "ksplice: " fmt

#include <linux/ctype.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "core.h"

static struct kobject *ksplice_root;

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

static bool is_text(const char *buf, size_t count)
{
	return strnlen(buf, count) == count;
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

	if (!is_text(buf, count))
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

	if (is_text(buf, count) && sysfs_streq(buf, "1"))
		value = true;
	else if (is_text(buf, count) && sysfs_streq(buf, "0"))
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

static bool id_is_valid(const char *id)
{
	size_t i, length = strlen(id);

	if (!length || length > KSPLICE_ID_MAX)
		return false;
	for (i = 0; i < length; i++) {
		if (!(id[i] >= 'a' && id[i] <= 'z') && !isdigit(id[i]) && id[i] != '_')
			return false;
	}
	/* The files beside the entries. */
	return strcmp(id, "control") && strcmp(id, "interface");
}

/* Context: ksplice_mutex held. */
static int control_add(struct ksplice_entry *entry)
{
	int ret;

	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	ret = kobject_add(&entry->kobj, ksplice_root, "%s", entry->id);
	if (ret)
		module_put(THIS_MODULE);
	else
		ksplice_link(entry);
	return ret;
}

static int control_create(const char *id)
{
	struct ksplice_entry *entry;
	int ret;

	if (!id_is_valid(id))
		return -EINVAL;
	entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return -ENOMEM;
	entry->conflicts = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!entry->conflicts) {
		kfree(entry);
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&entry->list);
	INIT_LIST_HEAD(&entry->pins);
	strscpy(entry->id, id, sizeof(entry->id));
	kobject_init(&entry->kobj, &entry_type);

	mutex_lock(&ksplice_mutex);
	ret = ksplice_may_add(id);
	if (!ret)
		ret = control_add(entry);
	mutex_unlock(&ksplice_mutex);

	if (ret)
		kobject_put(&entry->kobj);
	return ret;
}

/* `srcversion`: NULL to pin, else the module is skipped. */
static int control_pin(const char *id, const char *module, const char *srcversion)
{
	struct ksplice_entry *entry;
	int ret;

	mutex_lock(&ksplice_mutex);
	entry = ksplice_find(id);
	if (!entry)
		ret = -ENOENT;
	else if (entry->switching || entry->stage == KSPLICE_APPLIED)
		ret = -EBUSY;
	else
		ret = srcversion ? ksplice_skip(entry, module, srcversion)
				 : ksplice_pin(entry, module);
	mutex_unlock(&ksplice_mutex);
	return ret;
}

static int control_forget(const char *id)
{
	struct ksplice_entry *entry;

	mutex_lock(&ksplice_mutex);
	entry = ksplice_find(id);
	if (!entry || entry->switching || entry->update) {
		mutex_unlock(&ksplice_mutex);
		return entry ? -EBUSY : -ENOENT;
	}
	entry->forgotten = true;
	mutex_unlock(&ksplice_mutex);

	kobject_del(&entry->kobj);
	mutex_lock(&ksplice_mutex);
	ksplice_unlink(entry);
	mutex_unlock(&ksplice_mutex);
	kobject_put(&entry->kobj);
	module_put(THIS_MODULE);
	return 0;
}

/* `ids`: names with a blank between them; is written to. */
static int control_change(char *ids, enum ksplice_direction direction)
{
	struct ksplice_list list = { .count = 0 };
	struct ksplice_entry *entry;
	int ret = 0;
	char *id;

	mutex_lock(&ksplice_mutex);
	while (!ret && (id = strsep(&ids, " "))) {
		entry = ksplice_find(id);
		if (!entry)
			ret = id_is_valid(id) ? -ENOENT : -EINVAL;
		else if (list.count == KSPLICE_LIST_MAX)
			ret = -E2BIG;
		else
			list.entries[list.count++] = entry;
	}
	if (!ret)
		ret = ksplice_change_stage(&list, direction);
	mutex_unlock(&ksplice_mutex);
	return ret;
}

static ssize_t control_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	char *line, *rest, *verb, *id, *argument, *more;
	int ret = -EINVAL;

	if (!is_text(buf, count))
		return -EINVAL;
	line = kstrndup(buf, count, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	rest = strim(line);
	verb = strsep(&rest, " ");
	if (rest && !strcmp(verb, "apply")) {
		ret = control_change(rest, KSPLICE_APPLY);
		goto out;
	}
	if (rest && !strcmp(verb, "reverse")) {
		ret = control_change(rest, KSPLICE_UNDO);
		goto out;
	}
	id = strsep(&rest, " ");
	argument = strsep(&rest, " ");
	more = strsep(&rest, " ");
	if (!id || rest)
		goto out;
	if (!strcmp(verb, "create") && !argument)
		ret = control_create(id);
	else if (!strcmp(verb, "forget") && !argument)
		ret = control_forget(id);
	else if (!strcmp(verb, "pin") && argument && !more)
		ret = control_pin(id, argument, NULL);
	else if (!strcmp(verb, "skip") && more)
		ret = control_pin(id, argument, more);
out:
	kfree(line);
	return ret ? ret : count;
}

static ssize_t interface_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", KSPLICE_INTERFACE);
}

static struct kobj_attribute control_attr = __ATTR(control, 0200, NULL, control_store);
static struct kobj_attribute interface_attr = __ATTR(interface, 0444, interface_show, NULL);

static struct attribute *root_attrs[] = {
	&control_attr.attr,
	&interface_attr.attr,
	NULL,
};

static const struct attribute_group root_group = {
	.attrs = root_attrs,
};

int ksplice_control_init(void)
{
	int ret;

	ksplice_root = kobject_create_and_add("ksplice", kernel_kobj);
	if (!ksplice_root)
		return -ENOMEM;
	ret = sysfs_create_group(ksplice_root, &root_group);
	if (ret)
		kobject_put(ksplice_root);
	return ret;
}

/* No entry is left: each holds a reference to this module. */
void ksplice_control_exit(void)
{
	kobject_put(ksplice_root);
}
