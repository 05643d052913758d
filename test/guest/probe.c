// SPDX-License-Identifier: GPL-2.0
/*
 * Small questions to the kernel that no shell command asks, one a subcommand; each prints one line.
 *
 *	probe getpriority	of process 4242, by the 64-bit and by the 32-bit entry of the kernel
 *	probe dirents DIR	types of "." and "..", then the same into a page that is not writable
 *	probe null-read		reads no byte from a pipe
 *	probe mincore		asks whether a page that was just written is in memory
 *	probe inodes		makes 4000 pipes one after the other, and tells the greatest inode number
 *	probe alarm		which signals an interval timer sends that runs once, and one that runs again and again
 *	probe pkey		asks for a memory key that forbids writing, and for one that forbids everything
 *	probe message		puts a message of 100 bytes into a queue, and one of 101
 *	probe together		asks for the group and the session of process 4242 in turn until it gets SIGTERM: how
 *				often one answer was new (1) between two that were old, or the other way round
 *	probe sendto		sends datagrams over loopback, to an address of the usual length and to a long one
 *
 * Exit status 70 when something else goes wrong, which says nothing about the kernel.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define PAGE 4096
/* Numbers of the 32-bit table. */
#define IA32_GETPRIORITY 96

static int broken(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	return 70;
}

/* The gate of 32-bit programs is open to 64-bit ones: it enters through the __ia32_sys_ functions. */
static long ia32_call(long number, long first, long second)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "0"(number), "b"(first), "c"(second)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}

static int probe_getpriority(void)
{
	/* Not the library's function, which turns the kernel's 40..1 into -20..19. */
	printf("x64 %ld ia32 %ld\n", syscall(SYS_getpriority, 0, 4242), ia32_call(IA32_GETPRIORITY, 0, 4242));
	return 0;
}

static int probe_dirents(const char *path)
{
	static char buffer[PAGE];
	int dot = -1, dotdot = -1;
	void *closed;
	long size, bad;
	int fd;

	fd = open(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return broken(path);
	size = syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
	if (size < 0)
		return broken("getdents64");
	for (long at = 0; at < size;) {
		struct dirent64 *entry = (struct dirent64 *)(buffer + at);

		if (!strcmp(entry->d_name, "."))
			dot = entry->d_type;
		if (!strcmp(entry->d_name, ".."))
			dotdot = entry->d_type;
		at += entry->d_reclen;
	}
	closed = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (closed == MAP_FAILED)
		return broken("mmap");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return broken("lseek");
	bad = syscall(SYS_getdents64, fd, closed, PAGE);
	printf("types %d %d closed page %s\n", dot, dotdot, bad < 0 ? strerrorname_np(errno) : "ok");
	return 0;
}

static int probe_null_read(void)
{
	char byte;
	int ends[2];

	if (pipe(ends))
		return broken("pipe");
	puts(read(ends[0], &byte, 0) < 0 ? strerrorname_np(errno) : "ok");
	return 0;
}

static int probe_mincore(void)
{
	unsigned char resident = 0xee;
	char *page;

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return broken("mmap");
	*page = 1;
	if (mincore(page, PAGE, &resident))
		return broken("mincore");
	printf("resident %d\n", resident);
	return 0;
}

static int probe_inodes(void)
{
	unsigned long greatest = 0;

	/* A CPU takes 1024 numbers at a time; two CPUs cannot have so many left. */
	for (int i = 0; i < 4000; i++) {
		struct stat status;
		int ends[2];

		if (pipe(ends) || fstat(ends[0], &status))
			return broken("pipe");
		close(ends[0]);
		close(ends[1]);
		if (status.st_ino > greatest)
			greatest = status.st_ino;
	}
	printf("%lu\n", greatest);
	return 0;
}

/* The name of the signal that a timer of 10 ms sends, or NULL. */
static const char *timer_signal(const sigset_t *signals, long interval_us)
{
	const struct itimerval start = { { 0, interval_us }, { 0, 10000 } }, stop = { 0 };
	int number;

	if (setitimer(ITIMER_REAL, &start, NULL) || sigwait(signals, &number) ||
	    setitimer(ITIMER_REAL, &stop, NULL))
		return NULL;
	/* What a periodic timer sent meanwhile is not for the next question. */
	sigtimedwait(signals, NULL, &(struct timespec){ 0 });
	return sigabbrev_np(number);
}

static int probe_alarm(void)
{
	const char *once, *again;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGALRM);
	sigaddset(&signals, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &signals, NULL))
		return broken("sigprocmask");
	once = timer_signal(&signals, 0);
	again = timer_signal(&signals, 10000);
	if (!once || !again)
		return broken("setitimer");
	printf("once %s again %s\n", once, again);
	return 0;
}

static const char *key_for(unsigned int rights)
{
	int key = pkey_alloc(0, rights);

	if (key < 0)
		return strerrorname_np(errno);
	/* The register has what was asked for only if the kernel wrote it. */
	return pkey_get(key) == (int)rights ? "ok" : "wrong rights";
}

static int probe_pkey(void)
{
	printf("read only %s nothing %s\n", key_for(PKEY_DISABLE_WRITE), key_for(PKEY_DISABLE_ACCESS));
	return 0;
}

static const char *put_message(int queue, size_t size)
{
	const struct {
		long type;
		char text[101];
	} message = { .type = 1 };

	return msgsnd(queue, &message, size, IPC_NOWAIT) ? strerrorname_np(errno) : "ok";
}

static int probe_message(void)
{
	int queue = msgget(IPC_PRIVATE, 0600);
	const char *small, *large;

	if (queue < 0)
		return broken("msgget");
	small = put_message(queue, 100);
	large = put_message(queue, 101);
	if (msgctl(queue, IPC_RMID, NULL))
		return broken("msgctl");
	printf("100 %s 101 %s\n", small, large);
	return 0;
}

static const char *send_to(int receiver, int sender, socklen_t length)
{
	/* As long as any address may be. */
	union {
		struct sockaddr_in in;
		struct sockaddr_storage storage;
	} to = { 0 };
	socklen_t size = sizeof(to.in);
	char got[8];

	if (getsockname(receiver, (struct sockaddr *)&to.in, &size))
		return "no name";
	if (syscall(SYS_sendto, sender, "hello", 5, MSG_DONTWAIT, &to, length) < 0)
		return strerrorname_np(errno);
	return recv(receiver, got, sizeof(got), 0) == 5 && !memcmp(got, "hello", 5) ? "ok" : "lost";
}

static int probe_sendto(void)
{
	const struct sockaddr_in loopback = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int receiver = socket(AF_INET, SOCK_DGRAM, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);

	if (receiver < 0 || sender < 0 || bind(receiver, (const struct sockaddr *)&loopback, sizeof(loopback)))
		return broken("bind");
	printf("short %s long %s\n", send_to(receiver, sender, sizeof(struct sockaddr_in)),
	       send_to(receiver, sender, 100));
	return 0;
}

static volatile sig_atomic_t is_over;

static void end_together(int signal)
{
	is_over = signal;
}

static int probe_together(void)
{
	long rounds = 0, halves = 0, changes = 0, last = -1;

	signal(SIGTERM, end_together);
	for (; !is_over; rounds++) {
		/* Asked in turn: a switch in between shows in all that come after it, or in none before it. */
		int group = getpgid(4242) == 1, session = getsid(4242) == 1;
		int group_again = getpgid(4242) == 1, session_again = getsid(4242) == 1;

		halves += group == group_again && session != group;
		halves += session == session_again && group_again != session;
		changes += last >= 0 && group != last;
		last = group;
	}
	printf("%s halves %ld changes %ld\n", rounds > 1000 ? "many" : "few", halves, changes);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "getpriority"))
		return probe_getpriority();
	if (argc == 3 && !strcmp(argv[1], "dirents"))
		return probe_dirents(argv[2]);
	if (argc == 2 && !strcmp(argv[1], "null-read"))
		return probe_null_read();
	if (argc == 2 && !strcmp(argv[1], "mincore"))
		return probe_mincore();
	if (argc == 2 && !strcmp(argv[1], "inodes"))
		return probe_inodes();
	if (argc == 2 && !strcmp(argv[1], "alarm"))
		return probe_alarm();
	if (argc == 2 && !strcmp(argv[1], "pkey"))
		return probe_pkey();
	if (argc == 2 && !strcmp(argv[1], "message"))
		return probe_message();
	if (argc == 2 && !strcmp(argv[1], "sendto"))
		return probe_sendto();
	if (argc == 2 && !strcmp(argv[1], "together"))
		return probe_together();
	fprintf(stderr, "usage: probe getpriority | dirents DIR | null-read | mincore | inodes | alarm | pkey |\n"
			"\tmessage | sendto | together\n");
	return 64;
}
