// SPDX-License-Identifier: GPL-2.0
/*
 * Writes lists of updates to the core: core_lists SEED LISTS ID...
 *
 * The IDs are those of updates that can be switched; nobody else may switch them. Of each
 * list it is known what has to come of it, by rules that are written down here once more:
 * a valid one is accepted, and switches all its updates; any other is refused, and
 * switches none. After each list the stages of all updates are read.
 *
 * Prints one line of counts: lists, accepted, and how many failed with which error.
 * Ends at the first list of which something else came, with status 1, and prints it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/sys/kernel/ksplice"
/* What the core takes in one list. */
#define LIST_MAX 64
/* What sysfs hands in of one write. */
#define PAGE 4096
#define MOST_IDS 128
#define MOST_NAMES 70
#define MOST_ERRNO 256
#define ROOM 16384

static const char *const strange[] = {
	"control", "interface", ".", "..", "../held", "A", "a-b", "%s%n", "*", "held\n", "\theld",
	"\xff",
};
static const char *const verbs[] = { "applys", "appl", "APPLY", "reversed", "apply\t", "", "forget" };
#define PICK(list) (list)[below(state, sizeof(list) / sizeof(*(list)))]

static char **ids;
static int nr_ids;
static bool is_applied[MOST_IDS];

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

static int find_id(const char *name, size_t length)
{
	int i;

	for (i = 0; i < nr_ids; i++) {
		if (strlen(ids[i]) == length && !memcmp(ids[i], name, length))
			return i;
	}
	return -1;
}

/* Notes the updates of a list in `chosen`. Returns how many there are, or 0 if it is not valid. */
static int read_list(const char *bytes, size_t size, bool *apply, bool *chosen)
{
	const char *end = bytes + size, *name;
	int id, count = 0;

	memset(chosen, 0, MOST_IDS * sizeof(*chosen));
	if (size >= PAGE || memchr(bytes, 0, size))
		return 0;
	while (end > bytes && isspace((unsigned char)end[-1]))
		end--;
	while (bytes < end && isspace((unsigned char)*bytes))
		bytes++;
	*apply = end - bytes > 6 && !memcmp(bytes, "apply ", 6);
	if (!*apply && (end - bytes <= 8 || memcmp(bytes, "reverse ", 8)))
		return 0;
	for (bytes += *apply ? 6 : 8; bytes <= end; bytes = name + 1) {
		name = memchr(bytes, ' ', (size_t)(end - bytes));
		if (!name)
			name = end;
		id = find_id(bytes, (size_t)(name - bytes));
		if (id < 0 || chosen[id] || is_applied[id] == *apply || count == LIST_MAX)
			return 0;
		chosen[id] = true;
		count++;
	}
	return count;
}

/* Of those that are in a stage, or of all: different ones, as many as wanted if there are. */
static int make_names(uint64_t *state, const bool *stage, int wanted, const char **names)
{
	const char *name;
	int i, other, fitting = 0;

	for (i = 0; i < nr_ids; i++) {
		if (!stage || is_applied[i] == *stage)
			names[fitting++] = ids[i];
	}
	for (i = 0; i < fitting; i++) {
		other = (int)below(state, (unsigned long)fitting);
		name = names[i];
		names[i] = names[other];
		names[other] = name;
	}
	return wanted < fitting ? wanted : fitting;
}

static size_t make_list(uint64_t *state, char *bytes)
{
	static char overlong[PAGE];
	const char *names[MOST_IDS], *verb;
	bool stage = below(state, 2);
	unsigned long fault = below(state, 24), at;
	/* Short ones as often as long ones. */
	int wanted = 1 + (int)below(state, below(state, 2) ? 4 : MOST_NAMES);
	int i, count;
	size_t size;

	if (fault == 22)
		count = make_names(state, NULL, LIST_MAX + 1, names);
	else
		count = make_names(state, &stage, wanted, names);
	if (!count)
		names[count++] = PICK(strange);
	verb = stage ? "reverse" : "apply";
	at = below(state, (unsigned long)count);
	memset(overlong, 'z', sizeof(overlong));
	overlong[33 + (below(state, 2) ? 0 : below(state, PAGE - 34))] = 0;
	if (fault < 3)
		names[at] = names[below(state, (unsigned long)count)];
	else if (fault < 6)
		names[at] = "absent";
	else if (fault < 9)
		names[at] = overlong;
	else if (fault < 11)
		names[at] = PICK(strange);
	else if (fault < 13)
		names[at] = ids[below(state, (unsigned long)nr_ids)];
	else if (fault < 15)
		verb = PICK(verbs);
	size = (size_t)sprintf(bytes, "%s", verb);
	for (i = 0; i < count; i++) {
		size += (size_t)sprintf(bytes + size, " %s%s", fault == 15 && i == (int)at ? " " : "",
					names[i]);
	}
	switch (fault) {
	case 16:
		bytes[below(state, size)] = 0;
		break;
	case 17:
		size = 1 + below(state, size);
		break;
	case 18:
		bytes[below(state, size)] = " \n\t\vz"[below(state, 5)];
		break;
	case 19:
		bytes[size++] = '\n';
		break;
	case 20:
		/* What comes after the page never reaches the core. */
		memset(bytes + size, ' ', PAGE);
		size += PAGE;
		size += (size_t)sprintf(bytes + size, "%s", ids[0]);
		break;
	case 21:
		size += (size_t)sprintf(bytes + size, " ");
		break;
	}
	return size;
}

/* 0, or an error. */
static int write_list(const char *bytes, size_t size)
{
	int fd = open(ROOT "/control", O_WRONLY | O_CLOEXEC);
	int error = fd >= 0 && write(fd, bytes, size) >= 0 ? 0 : errno;

	if (fd >= 0)
		close(fd);
	return error;
}

/* Is every update in the stage that it must be in? */
static bool stages_are_right(void)
{
	char path[256], text[32];
	ssize_t size;
	int i, fd;

	for (i = 0; i < nr_ids; i++) {
		snprintf(path, sizeof(path), ROOT "/%s/stage", ids[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		size = fd < 0 ? -1 : read(fd, text, sizeof(text));
		if (fd >= 0)
			close(fd);
		if (size < 0 || (size == 8 && !memcmp(text, "applied\n", 8)) != is_applied[i])
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	static unsigned long refused[MOST_ERRNO];
	static char bytes[ROOM];
	unsigned long lists, i, accepted = 0;
	bool chosen[MOST_IDS], apply;
	uint64_t state;
	int count, error, id;
	size_t size;

	if (argc < 4 || argc - 3 > MOST_IDS)
		return 64;
	state = (strtoull(argv[1], NULL, 10) << 8) + 1;
	lists = strtoul(argv[2], NULL, 10);
	ids = argv + 3;
	nr_ids = argc - 3;
	for (i = 0; i < lists; i++) {
		size = make_list(&state, bytes);
		count = read_list(bytes, size, &apply, chosen);
		error = write_list(bytes, size);
		for (id = 0; count && id < nr_ids; id++)
			is_applied[id] ^= chosen[id];
		if (!error != (count > 0) || !stages_are_right()) {
			printf("list %lu, %s valid, error %d: ", i, count ? "" : "not", error);
			fwrite(bytes, 1, size, stdout);
			return 1;
		}
		if (error)
			refused[error < MOST_ERRNO ? error : 0]++;
		else
			accepted++;
	}
	printf("lists %lu accepted %lu", lists, accepted);
	for (error = 0; error < MOST_ERRNO; error++) {
		if (refused[error])
			printf(" %s %lu", strerrorname_np(error), refused[error]);
	}
	printf("\n");
	return 0;
}
