// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that sleeps where the kernel reads what the second argument of prctl() points to, until SIGUSR1.
 *
 *	stuck_in_prctl
 *
 * prctl() knows nothing of the option that it is asked for, and reads nothing; a security hook may. The page is one that a
 * userfaultfd stands for. Prints "stuck" when the kernel has reported the fault, which is when the thread is there; then
 * what came of it: "old" for the error that the kernel gives, "new" for 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_OPTION	0x6b73

static void *page;

static int broken(const char *what)
{
	perror(what);
	return 70;
}

static void *ask(void *unused)
{
	long ret = syscall(SYS_prctl, NO_OPTION, page, 0, 0, 0);

	(void)unused;
	if (ret == 1)
		puts("new");
	else
		puts(ret < 0 && errno == EINVAL ? "old" : "neither");
	return NULL;
}

static void nothing(int number)
{
	(void)number;
}

int main(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_zeropage fill = { 0 };
	struct uffd_msg message;
	pthread_t thread;
	sigset_t go;
	int fd, number;

	/* Kept for sigwait(), by both threads. */
	signal(SIGUSR1, nothing);
	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &go, NULL);
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return broken("stuck_in_prctl: userfaultfd");
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return broken("stuck_in_prctl: mmap");
	range.range.start = (unsigned long)page;
	range.range.len = 4096;
	if (ioctl(fd, UFFDIO_REGISTER, &range))
		return broken("stuck_in_prctl: UFFDIO_REGISTER");
	if (pthread_create(&thread, NULL, ask, NULL))
		return broken("stuck_in_prctl: pthread_create");
	if (read(fd, &message, sizeof(message)) != sizeof(message) || message.event != UFFD_EVENT_PAGEFAULT)
		return broken("stuck_in_prctl: no fault");
	puts("stuck");
	fflush(stdout);
	sigwait(&go, &number);
	fill.range = range.range;
	if (ioctl(fd, UFFDIO_ZEROPAGE, &fill))
		return broken("stuck_in_prctl: UFFDIO_ZEROPAGE");
	pthread_join(thread, NULL);
	return 0;
}
