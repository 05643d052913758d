// SPDX-License-Identifier: GPL-2.0
/*
 * Writes a word to /proc/held (test/guest/modules/held.c), which holds the writer, from a thread of this kind:
 *
 *	thread_kinds plain WORD		this process
 *	thread_kinds vfork WORD		a child, for which this process waits in vfork()
 *	thread_kinds ring WORD		a worker of io_uring, for which this process waits
 *	thread_kinds traced WORD	a child that is stopped at the beginning of its system call, until SIGUSR1
 *	thread_kinds mortal WORD	nobody: a child that ends, and that nobody waits for
 *	thread_kinds newborn WORD	a child that was forked and does not run: its only CPU is kept busy by this
 *					process, which goes before it, until there is a file /run/let
 *
 * Prints which version answered: "old" or "new".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *word;
static int held;

static void fail(const char *what)
{
	perror(what);
	exit(70);
}

/* One byte more than was written: the new version. 100, 101: after a restart. */
static void print_version(long written)
{
	long length = (long)strlen(word);

	if (written == length || written == 100)
		puts("old");
	else if (written == length + 1 || written == 101)
		puts("new");
	else
		printf("%ld\n", written);
	fflush(stdout);
}

static long write_word(void)
{
	return syscall(SYS_write, held, word, strlen(word));
}

static void in_vfork(void)
{
	static volatile long written;

	if (!vfork()) {
		written = write_word();
		_exit(0);
	}
	print_version(written);
}

static void in_ring(void)
{
	struct io_uring_params params = { 0 };
	int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
	struct io_uring_sqe *entry;
	struct io_uring_cqe *done;
	char *queues, *answers;

	if (ring < 0)
		fail("io_uring_setup");
	queues = mmap(NULL, params.sq_off.array + 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		      IORING_OFF_SQ_RING);
	entry = mmap(NULL, sizeof(*entry), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		     IORING_OFF_SQES);
	answers = mmap(NULL, params.cq_off.cqes + 2 * sizeof(*done), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	if (queues == MAP_FAILED || entry == MAP_FAILED || answers == MAP_FAILED)
		fail("mmap");
	entry->opcode = IORING_OP_WRITE;
	entry->flags = IOSQE_ASYNC;
	entry->fd = held;
	entry->addr = (unsigned long)word;
	entry->len = (unsigned int)strlen(word);
	*(unsigned int *)(queues + params.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(queues + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		fail("io_uring_enter");
	done = (struct io_uring_cqe *)(answers + params.cq_off.cqes);
	print_version(done->res);
}

static void nothing(int number)
{
	(void)number;
}

static void traced(void)
{
	struct user_regs_struct regs;
	int status;
	pid_t child;

	signal(SIGUSR1, nothing);
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		print_version(write_word());
		_exit(0);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)PTRACE_O_TRACESYSGOOD);
	do {
		if (ptrace(PTRACE_SYSCALL, child, NULL, NULL) || waitpid(child, &status, 0) < 0 ||
		    ptrace(PTRACE_GETREGS, child, NULL, &regs))
			fail("ptrace");
	} while (regs.orig_rax != SYS_write);
	pause();
	ptrace(PTRACE_CONT, child, NULL, NULL);
	waitpid(child, &status, 0);
}

static void mortal(void)
{
	signal(SIGCHLD, SIG_IGN);
	if (!fork()) {
		prctl(PR_SET_NAME, "mortal");
		_exit(0);
	}
	pause();
}

static void newborn(void)
{
	struct sched_param first = { .sched_priority = 50 };
	cpu_set_t last;
	pid_t child;

	CPU_ZERO(&last);
	CPU_SET(1, &last);
	/* The child is an ordinary process on the same CPU. */
	if (sched_setaffinity(0, sizeof(last), &last) ||
	    sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
		fail("first of all");
	child = fork();
	if (!child) {
		print_version(write_word());
		_exit(0);
	}
	printf("born %d\n", child);
	fflush(stdout);
	while (access("/run/let", F_OK))
		;
	/* From here on the CPU is free. */
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 64;
	word = argv[2];
	held = open("/proc/held", O_WRONLY);
	if (held < 0)
		fail("/proc/held");
	if (!strcmp(argv[1], "plain"))
		print_version(write_word());
	else if (!strcmp(argv[1], "vfork"))
		in_vfork();
	else if (!strcmp(argv[1], "ring"))
		in_ring();
	else if (!strcmp(argv[1], "traced"))
		traced();
	else if (!strcmp(argv[1], "mortal"))
		mortal();
	else if (!strcmp(argv[1], "newborn"))
		newborn();
	else
		return 64;
	return 0;
}
