// SPDX-License-Identifier: GPL-2.0
/*
 * Many threads that sleep, each in one of four places in the kernel, until the process is killed.
 *
 *	sleepers N
 *
 * Prints "ready N" when all of them sleep or are about to.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int never[2];	/* a pipe that nobody writes to */
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

static void *sleeper(void *number)
{
	struct pollfd p = { .fd = never[0], .events = POLLIN };
	char byte;

	for (;;) {
		switch ((uintptr_t)number % 4) {
		case 0:
			pause();
			break;
		case 1:
			poll(&p, 1, -1);
			break;
		case 2:
			if (read(never[0], &byte, 1) == 0)
				return NULL;
			break;
		case 3:
			pthread_mutex_lock(&held);
			break;
		}
	}
}

int main(int argc, char **argv)
{
	long count = argc == 2 ? atol(argv[1]) : 0;
	pthread_attr_t attributes;

	if (count < 1 || count > 100000) {
		fprintf(stderr, "usage: sleepers N (1 to 100000)\n");
		return 64;
	}
	if (pipe(never)) {
		perror("sleepers: pipe");
		return 70;
	}
	pthread_mutex_lock(&held);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	for (long i = 0; i < count; i++) {
		pthread_t thread;
		int error = pthread_create(&thread, &attributes, sleeper, (void *)(uintptr_t)i);

		if (error) {
			fprintf(stderr, "sleepers: thread %ld: %s\n", i, strerror(error));
			return 70;
		}
	}
	printf("ready %ld\n", count);
	fflush(stdout);
	for (;;)
		pause();
}
