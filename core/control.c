// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ksplice: what user space asks for.
 *
 *	interface	0444	KSPLICE_INTERFACE
 *	control		0200	create ID | pin ID MODULE | skip ID MODULE SRCVERSION |
 *				forget ID | apply ID... | reverse ID...
 *	ID/		a directory for each update (entry.c)
 *
 * `apply` and `reverse` change the stage of all these updates in one stop, or of none.
 *
 * No address passes through here.  Everything that is not one of these words, whole,
 * fails with EINVAL.
 *
 * Removing a directory waits for everyone who has one of its files open, and
 * these may wait for ksplice_mutex: so `forget` marks the entry forgotten under the
 * mutex, removes the directory after letting go, and unlinks the entry last.  Until
 * then its name is taken: sysfs dumps the stack of who adds a name twice.
 */
#include <linux/ctype.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "core.h"

static struct kobject *ksplice_root;

/* The longest command; see ksplice_is_whole(). */
static_assert(sizeof("reverse") + KSPLICE_LIST_MAX * (KSPLICE_ID_MAX + 1) < PAGE_SIZE);

/**
 * ksplice_is_whole() - is this all that was written, and nothing but text?
 * @buf:	as sysfs hands it in: cut to a page (kernfs_fop_write_iter()), and a
 *		NUL behind it
 * @count:	bytes
 *
 * What fills a page may have been longer.  All that is understood is shorter.
 */
bool ksplice_is_whole(const char *buf, size_t count)
{
	return count < PAGE_SIZE && strnlen(buf, count) == count;
}

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
	entry = ksplice_entry_alloc(id);
	if (!entry)
		return -ENOMEM;

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

	if (!ksplice_is_whole(buf, count))
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
