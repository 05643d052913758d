// SPDX-License-Identifier: GPL-2.0
/*
 * Writes garbage to the files of the core: core_garbage SEED WRITES THREADS [ID]...
 *
 * Half of it is bytes, of any length up to more than a page; the other half commands and
 * words that are nearly right, some of them right: so that states change, and several
 * threads do it at once.  The IDs are those of updates that may be switched.  Prints one
 * line of counts: writes, accepted, and how many failed with which error.
 *
 * At the end it takes away what it has created, so nothing may be left but the IDs.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/sys/kernel/ksplice"
#define MOST_THREADS 16
#define MOST_ERRNO 256
#define ROOM 6000

static const char *const names[] = {
	"a", "b", "c", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
	"control", "interface", ".", "..", "../../module", "a/b", "A", "a-b", "a b", "%s%n", "",
};
static const char *const verbs[] = { "create", "pin", "forget", "creates", "", "CREATE", "unpin", "skip" };
static const char *const modules[] = {
	"ksplice", "virtio_blk", "no_such_module", "", "%n", "vmlinux",
	"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm",
};
static const char *const words[] = {
	"applied", "reversed", "preparing", "0", "1", "2", "yes", "on", "appliedx", "\n", "", "-1",
};
static const char *const files[] = {
	"stage", "debug", "partial", "abort_cause", "conflicts", "failed_hook", "pins", "timing",
};
#define PICK(list) (list)[below(state, sizeof(list) / sizeof(*(list)))]

static char **ids;
static int nr_ids;
static unsigned long writes_each;

struct worker {
	pthread_t thread;
	uint64_t state;
	unsigned long accepted;
	unsigned long refused[MOST_ERRNO];
};

/* xorshift64* */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

static unsigned long below(uint64_t *state, unsigned long limit)
{
	return (next(state) >> 33) % limit;
}

static void put(struct worker *worker, const char *path, const char *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done = fd < 0 ? -1 : write(fd, bytes, size);

	if (done >= 0)
		worker->accepted++;
	else
		worker->refused[errno < MOST_ERRNO ? errno : 0]++;
	if (fd >= 0)
		close(fd);
}

static void take(const char *path)
{
	char bytes[ROOM];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	while (read(fd, bytes, sizeof(bytes)) > 0)
		;
	close(fd);
}

/* Cuts it, adds to it, or puts any byte anywhere, a NUL among them. */
static size_t spoil(uint64_t *state, char *bytes, size_t size)
{
	switch (below(state, 8)) {
	case 0:
		return size ? below(state, size) : 0;
	case 1:
		bytes[size] = 0;
		return size + 1;
	case 2:
		if (size)
			bytes[below(state, size)] = below(state, 4) ? (char)next(state) : 0;
		return size;
	case 3:
		memset(bytes + size, "\n \t\0z"[below(state, 5)], 4096);
		return size + below(state, 4096);
	case 4:
		bytes[size] = '\n';
		return size + 1;
	default:
		return size;
	}
}

static const char *any_id(uint64_t *state)
{
	if (nr_ids && !below(state, 8))
		return ids[below(state, nr_ids)];
	return PICK(names);
}

/* Of 1 to 70 names. */
static size_t make_list(uint64_t *state, char *bytes)
{
	unsigned long names = 1 + below(state, below(state, 2) ? 3 : 70);
	unsigned long known = !below(state, 4);
	size_t size = (size_t)sprintf(bytes, "%s", below(state, 2) ? "apply" : "reverse");

	while (names--) {
		size += (size_t)sprintf(bytes + size, "%s%s", below(state, 64) ? " " : "  ",
					known && nr_ids ? ids[below(state, (unsigned long)nr_ids)] :
							  any_id(state));
	}
	return size;
}

static void write_once(struct worker *worker)
{
	uint64_t *state = &worker->state;
	char bytes[2 * ROOM], path[256];
	size_t size, i;

	switch (below(state, 8)) {
	case 0:
		size = below(state, below(state, 4) ? 64 : ROOM);
		for (i = 0; i < size; i++)
			bytes[i] = (char)next(state);
		put(worker, ROOT "/control", bytes, size);
		return;
	case 1:
		snprintf(path, sizeof(path), ROOT "/%s/%s", any_id(state), PICK(files));
		take(path);
		return;
	case 2:
	case 3:
		snprintf(path, sizeof(path), ROOT "/%s/%s", any_id(state), PICK(files));
		size = (size_t)sprintf(bytes, "%s", PICK(words));
		put(worker, path, bytes, spoil(state, bytes, size));
		return;
	case 4:
		size = (size_t)sprintf(bytes, "pin %s %s", any_id(state), PICK(modules));
		break;
	case 5:
		size = make_list(state, bytes);
		break;
	default:
		size = (size_t)sprintf(bytes, "%s %s%s%s", PICK(verbs), any_id(state),
				       below(state, 16) ? "" : " ",
				       below(state, 16) ? "" : PICK(modules));
	}
	put(worker, ROOT "/control", bytes, spoil(state, bytes, size));
}

static void *work(void *data)
{
	struct worker *worker = data;
	unsigned long i;

	for (i = 0; i < writes_each; i++)
		write_once(worker);
	return NULL;
}

/* Some of what was cut or joined is a name, too: so all that is there, but for the IDs. */
static void forget_created(void)
{
	static struct worker unused;
	struct dirent *entry;
	char command[512];
	DIR *root = opendir(ROOT);
	int i;

	while (root && (entry = readdir(root))) {
		for (i = 0; i < nr_ids && strcmp(ids[i], entry->d_name); i++)
			;
		if (i < nr_ids)
			continue;
		i = snprintf(command, sizeof(command), "forget %s", entry->d_name);
		put(&unused, ROOT "/control", command, (size_t)i);
	}
	if (root)
		closedir(root);
}

int main(int argc, char **argv)
{
	static struct worker workers[MOST_THREADS], sum;
	int threads, i, error;

	if (argc < 4)
		return 64;
	threads = atoi(argv[3]);
	if (threads < 1 || threads > MOST_THREADS)
		return 64;
	writes_each = strtoul(argv[2], NULL, 10) / (unsigned long)threads;
	ids = argv + 4;
	nr_ids = argc - 4;
	for (i = 0; i < threads; i++) {
		workers[i].state = (strtoull(argv[1], NULL, 10) << 8) + (uint64_t)i + 1;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return 1;
	}
	for (i = 0; i < threads; i++) {
		pthread_join(workers[i].thread, NULL);
		sum.accepted += workers[i].accepted;
		for (error = 0; error < MOST_ERRNO; error++)
			sum.refused[error] += workers[i].refused[error];
	}
	forget_created();
	printf("accepted %lu", sum.accepted);
	for (error = 0; error < MOST_ERRNO; error++) {
		if (sum.refused[error])
			printf(" %s %lu", strerrorname_np(error), sum.refused[error]);
	}
	printf("\n");
	return 0;
}
