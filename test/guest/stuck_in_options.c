// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that sleeps inside ip_options_get() until the process is killed.
 *
 *	stuck_in_options
 *
 * ip_options_get() copies the options from user space. Here they lie on a page that a userfaultfd stands for and
 * that nobody ever fills, so the copy waits in its page fault, with ip_options_get() on the stack. Prints "stuck"
 * when the kernel has reported that fault, which is when the thread is there.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *options;

static int broken(const char *what)
{
	perror(what);
	return 70;
}

static void *set_options(void *unused)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	(void)unused;
	setsockopt(s, IPPROTO_IP, IP_OPTIONS, options, 8);
	return NULL;
}

int main(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg message;
	pthread_t thread;
	int fd;

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return broken("stuck_in_options: userfaultfd");
	options = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (options == MAP_FAILED)
		return broken("stuck_in_options: mmap");
	range.range.start = (unsigned long)options;
	range.range.len = 4096;
	if (ioctl(fd, UFFDIO_REGISTER, &range))
		return broken("stuck_in_options: UFFDIO_REGISTER");
	if (pthread_create(&thread, NULL, set_options, NULL))
		return broken("stuck_in_options: pthread_create");
	if (read(fd, &message, sizeof(message)) != sizeof(message) || message.event != UFFD_EVENT_PAGEFAULT)
		return broken("stuck_in_options: no fault");
	puts("stuck");
	fflush(stdout);
	for (;;)
		pause();
}
