// SPDX-License-Identifier: GPL-2.0
/*
 * Does one thing to the kernel again and again, and each time another allocation on the way fails: the first, the
 * second, and so on, until all have had their turn. Needs CONFIG_FAULT_INJECTION (/proc/thread-self/fail-nth).
 *
 *	fail_nth ACTION INVERSE CHECK
 *
 * ACTION	what is done: write:FILE:TEXT, insmod:FILE, or rmmod:NAME
 * INVERSE	undoes it where it succeeded in spite of the failed allocation; none of its own fails; several with ; between them
 * CHECK	what must be true before each ACTION: absent:PATH, exists:PATH, or is:FILE:TEXT, which is the first line of it
 *
 * The last time nothing is left to fail: ACTION must succeed, and stays done. Prints one line
 * "allocations N, refused N, done in spite of it N, ERRNO N..."; the exit status is 0 if all went as it must.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST	100000
#define ERRNOS	134

static int fail_nth;

static void die(const char *what)
{
	fprintf(stderr, "fail_nth: %s: %s\n", what, strerror(errno));
	exit(70);
}

/* From here on the nth allocation of this thread fails; 0 ends that. */
static void set_nth(int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%d", nth);

	if (pwrite(fail_nth, text, length, 0) != length)
		die("fail-nth");
}

/* Whether the allocation was reached, and failed. */
static int was_injected(void)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) < 0)
		die("fail-nth");
	return atoi(text) == 0;
}

/* Returns 0 or an errno. With nth, one allocation of the system call itself fails: files are opened before. */
static int act(const char *action, int nth, int *injected)
{
	char *copy = strdup(action), *rest = copy;
	char *verb = strsep(&rest, ":"), *first = strsep(&rest, ":");
	int fd = -1, result;

	if (!copy || !first)
		die(action);
	if (strcmp(verb, "rmmod")) {
		fd = open(first, !strcmp(verb, "write") ? O_WRONLY : O_RDONLY);
		if (fd < 0)
			die(first);
	}
	if (nth)
		set_nth(nth);
	errno = 0;
	if (!strcmp(verb, "write"))
		result = write(fd, rest, strlen(rest)) == (ssize_t)strlen(rest) ? 0 : errno;
	else if (!strcmp(verb, "insmod"))
		result = syscall(SYS_finit_module, fd, "", 0) == 0 ? 0 : errno;
	else
		result = syscall(SYS_delete_module, first, O_NONBLOCK) == 0 ? 0 : errno;
	if (nth) {
		*injected = was_injected();
		set_nth(0);
	}
	if (fd >= 0)
		close(fd);
	free(copy);
	return result;
}

static void check(const char *what, int round)
{
	char text[256] = "", *copy = strdup(what), *rest = copy;
	char *verb = strsep(&rest, ":"), *file = strsep(&rest, ":");
	int fd;

	if (strcmp(verb, "is")) {
		int is_there = access(file, F_OK) == 0;

		if (is_there != !strcmp(verb, "exists")) {
			fprintf(stderr, "fail_nth: before round %d: %s is %s\n", round, file,
				is_there ? "there" : "not there");
			exit(1);
		}
	} else {
		fd = open(file, O_RDONLY);
		if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
			die(file);
		close(fd);
		text[strcspn(text, "\n")] = 0;
		if (strcmp(text, rest)) {
			fprintf(stderr, "fail_nth: before round %d: %s is '%s', not '%s'\n", round, file, text, rest);
			exit(1);
		}
	}
	free(copy);
}

/* Returns 0 or an errno. */
static int act_all(const char *actions)
{
	char *copy = strdup(actions), *rest = copy, *action;
	int error = 0;

	if (!copy)
		die(actions);
	while (!error && (action = strsep(&rest, ";")))
		error = act(action, 0, NULL);
	free(copy);
	return error;
}

int main(int argc, char **argv)
{
	int counts[ERRNOS] = { 0 }, refused = 0, done = 0, error, nth, injected;

	if (argc != 4) {
		fprintf(stderr, "usage: fail_nth ACTION INVERSE CHECK\n");
		return 64;
	}
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_nth < 0)
		die("/proc/thread-self/fail-nth");
	for (nth = 1; nth < MOST; nth++) {
		check(argv[3], nth);
		error = act(argv[1], nth, &injected);
		if (!injected)
			break;
		if (error) {
			refused++;
			counts[error < ERRNOS ? error : 0]++;
			continue;
		}
		done++;
		error = act_all(argv[2]);
		if (error) {
			fprintf(stderr, "fail_nth: round %d: %s: %s\n", nth, argv[2], strerror(error));
			return 1;
		}
	}
	printf("allocations %d, refused %d, done in spite of it %d", nth - 1, refused, done);
	for (int i = 0; i < ERRNOS; i++) {
		if (counts[i])
			printf(", %s %d", strerrorname_np(i), counts[i]);
	}
	printf("\n");
	if (error) {
		fprintf(stderr, "fail_nth: with nothing failing: %s: %s\n", argv[1], strerror(error));
		return 1;
	}
	return nth == 1;
}
