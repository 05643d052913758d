// SPDX-License-Identifier: GPL-2.0
/*
 * watcher COUNT: adds COUNT pipes to an epoll instance, and prints what the kernel tells about the instance.
 * watcher: makes an instance (descriptor 3) with one pipe, and waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

static void add_pipe(int epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	int ends[2];

	if (pipe(ends) || epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event)) {
		perror("watcher");
		exit(1);
	}
}

static void print_info(int epoll)
{
	char name[64], line[256];
	FILE *file;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", epoll);
	file = fopen(name, "r");
	if (!file) {
		perror(name);
		exit(1);
	}
	while (fgets(line, sizeof(line), file))
		fputs(line, stdout);
	fclose(file);
}

int main(int argc, char **argv)
{
	int i, count = argc > 1 ? atoi(argv[1]) : 1;
	int epoll = epoll_create1(0);

	if (epoll < 0) {
		perror("watcher");
		return 1;
	}
	for (i = 0; i < count; i++)
		add_pipe(epoll);
	if (argc > 1)
		print_info(epoll);
	else
		pause();
	return 0;
}
