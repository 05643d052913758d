// SPDX-License-Identifier: GPL-2.0
/*
 * A second of ordinary life for a kernel that was just changed: files, memory, processes, threads, pipes, sockets,
 * timers, /proc. Whatever goes in is compared with what comes out.
 *
 *	smoke_load [DIRECTORY]...	where to work with files; /tmp unless told
 *
 * It says nothing about the code that an update replaced, which most of this never enters: it finds a kernel that has
 * lost its balance. Prints a line a part, "ok NAME" or what was wrong; exit status 1 if anything was.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define AMOUNT (1 << 20)
#define PAGE 4096
/* Whoever hangs in the kernel is killed, and the exit status says so. */
#define MOST_SECONDS 60

static int failed(const char *format, ...)
{
	int error = errno;
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(": %s\n", error ? strerror(error) : "wrong");
	return 1;
}

#define CHECK(condition)					\
	do {							\
		errno = 0;					\
		if (!(condition))				\
			return failed("line %d: %s", __LINE__, #condition); \
	} while (0)

/* Bytes that tell where they belong. */
static unsigned char pattern(size_t at)
{
	return (unsigned char)(at ^ at >> 8 ^ at >> 16);
}

static int send_all(int fd)
{
	unsigned char piece[PAGE];

	for (size_t at = 0; at < AMOUNT;) {
		size_t size = AMOUNT - at < sizeof(piece) ? AMOUNT - at : sizeof(piece);
		ssize_t done;

		for (size_t i = 0; i < size; i++)
			piece[i] = pattern(at + i);
		done = write(fd, piece, size);
		if (done <= 0)
			return -1;
		at += done;
	}
	return 0;
}

/* Everything until the end: the right amount, each byte in its place. */
static int receive_all(int fd)
{
	unsigned char piece[3 * PAGE + 17];
	size_t at = 0;

	for (;;) {
		ssize_t got = read(fd, piece, sizeof(piece));

		if (got < 0)
			return -1;
		if (got == 0)
			return at == AMOUNT ? 0 : -1;
		for (ssize_t i = 0; i < got; i++, at++)
			if (piece[i] != pattern(at))
				return -1;
	}
}

/* A child sends to one descriptor, we receive from the other. */
static int transfer(int from, int to)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		close(from);
		_exit(send_all(to) ? 1 : 0);
	}
	close(to);
	CHECK(receive_all(from) == 0);
	close(from);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	return 0;
}

static int pipes(const char *directory)
{
	int ends[2];

	(void)directory;
	CHECK(pipe(ends) == 0);
	return transfer(ends[0], ends[1]);
}

static int unix_sockets(const char *directory)
{
	union {
		char buffer[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte = 'x';
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = control.buffer, .msg_controllen = sizeof(control.buffer),
	};
	struct cmsghdr *header;
	int ends[2], sent, got;

	(void)directory;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	CHECK((sent = eventfd(7, 0)) >= 0);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &sent, sizeof(int));
	CHECK(sendmsg(ends[0], &message, 0) == 1);
	CHECK(recvmsg(ends[1], &message, 0) == 1);
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
	{
		uint64_t value = 0;

		CHECK(read(got, &value, sizeof(value)) == sizeof(value) && value == 7);
	}
	close(sent);
	close(got);
	return transfer(ends[0], ends[1]);
}

static int tcp_over(int family)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&six;
	socklen_t size = family == AF_INET ? sizeof(four) : sizeof(six);
	int listener, client, server;

	CHECK((listener = socket(family, SOCK_STREAM, 0)) >= 0);
	CHECK(bind(listener, address, size) == 0);
	CHECK(listen(listener, 1) == 0);
	CHECK(getsockname(listener, address, &size) == 0);
	CHECK((client = socket(family, SOCK_STREAM, 0)) >= 0);
	CHECK(connect(client, address, size) == 0);
	CHECK((server = accept(listener, NULL, NULL)) >= 0);
	close(listener);
	return transfer(server, client);
}

static int tcp(const char *directory)
{
	(void)directory;
	return tcp_over(AF_INET) || tcp_over(AF_INET6);
}

static int udp(const char *directory)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int receiver, sender;

	(void)directory;
	CHECK((receiver = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
	CHECK(bind(receiver, (struct sockaddr *)&address, size) == 0);
	CHECK(getsockname(receiver, (struct sockaddr *)&address, &size) == 0);
	CHECK((sender = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
	for (int i = 0; i < 100; i++) {
		char out[2000], in[sizeof(out)];

		memset(out, i, sizeof(out));
		CHECK(sendto(sender, out, sizeof(out), 0, (struct sockaddr *)&address, size) == sizeof(out));
		CHECK(recv(receiver, in, sizeof(in), 0) == sizeof(in) && !memcmp(in, out, sizeof(in)));
	}
	close(receiver);
	close(sender);
	return 0;
}

static int links(const char *directory)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
	};
	char answer[32768];
	int fd, count = 0;

	(void)directory;
	CHECK((fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)) >= 0);
	CHECK(send(fd, &request, sizeof(request), 0) == sizeof(request));
	for (;;) {
		ssize_t got = recv(fd, answer, sizeof(answer), 0);
		struct nlmsghdr *one = (struct nlmsghdr *)answer;

		CHECK(got > 0);
		for (int left = (int)got; NLMSG_OK(one, left); one = NLMSG_NEXT(one, left)) {
			CHECK(one->nlmsg_type != NLMSG_ERROR);
			if (one->nlmsg_type == NLMSG_DONE) {
				close(fd);
				CHECK(count > 0);
				return 0;
			}
			count++;
		}
	}
}

static int files(const char *directory)
{
	char name[200], other[220];
	unsigned char *mapped;
	struct dirent *entry;
	struct stat status;
	int fd, found = 0;
	DIR *listing;

	snprintf(name, sizeof(name), "%s/smoke-%d", directory, getpid());
	CHECK(mkdir(name, 0700) == 0);
	CHECK(chdir(name) == 0);
	CHECK((fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0600)) >= 0);
	CHECK(send_all(fd) == 0);
	CHECK(fsync(fd) == 0);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(receive_all(fd) == 0);
	mapped = mmap(NULL, AMOUNT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(mapped != MAP_FAILED);
	for (size_t at = 0; at < AMOUNT; at += PAGE) {
		CHECK(mapped[at] == pattern(at));
		mapped[at] = 0;
	}
	CHECK(munmap(mapped, AMOUNT) == 0);
	CHECK(pread(fd, name, 1, PAGE) == 1 && name[0] == 0);
	CHECK(ftruncate(fd, 100) == 0);
	CHECK(fstat(fd, &status) == 0 && status.st_size == 100);
	close(fd);
	CHECK(link("a", "b") == 0);
	CHECK(symlink("a", "c") == 0);
	CHECK(rename("b", "d") == 0);
	for (int i = 0; i < 200; i++) {
		snprintf(other, sizeof(other), "file-%d", i);
		CHECK((fd = open(other, O_WRONLY | O_CREAT, 0600)) >= 0);
		close(fd);
	}
	CHECK((listing = opendir(".")) != NULL);
	while ((entry = readdir(listing)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		found++;
		CHECK(unlink(entry->d_name) == 0);
	}
	closedir(listing);
	CHECK(found == 203);
	snprintf(name, sizeof(name), "%s/smoke-%d", directory, getpid());
	CHECK(chdir("/") == 0);
	CHECK(rmdir(name) == 0);
	return 0;
}

static int memory(const char *directory)
{
	unsigned char *bytes = mmap(NULL, AMOUNT, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status, id;
	pid_t child;

	(void)directory;
	CHECK(bytes != MAP_FAILED);
	for (size_t at = 0; at < AMOUNT; at += PAGE)
		bytes[at] = pattern(at >> 12);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		for (size_t at = 0; at < AMOUNT; at += PAGE) {
			if (bytes[at] != pattern(at >> 12))
				_exit(1);
			bytes[at] = 0xff;
		}
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	for (size_t at = 0; at < AMOUNT; at += PAGE)
		CHECK(bytes[at] == pattern(at >> 12));
	CHECK(mprotect(bytes, AMOUNT / 2, PROT_READ) == 0);
	bytes = mremap(bytes + AMOUNT / 2, AMOUNT / 2, AMOUNT, MREMAP_MAYMOVE);
	CHECK(bytes != MAP_FAILED && bytes[0] == pattern(AMOUNT >> 13));
	CHECK(madvise(bytes, AMOUNT, MADV_DONTNEED) == 0 && bytes[0] == 0);
	CHECK(munmap(bytes, AMOUNT) == 0);

	CHECK((id = shmget(IPC_PRIVATE, PAGE, 0600)) >= 0);
	CHECK((bytes = shmat(id, NULL, 0)) != (void *)-1);
	bytes[0] = 1;
	CHECK(shmdt(bytes) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
	CHECK((id = semget(IPC_PRIVATE, 1, 0600)) >= 0);
	{
		struct sembuf up = { .sem_op = 1 }, down = { .sem_op = -1 };

		CHECK(semop(id, &up, 1) == 0 && semop(id, &down, 1) == 0);
	}
	CHECK(semctl(id, 0, IPC_RMID) == 0);
	return 0;
}

static int processes(const char *directory)
{
	int status;

	(void)directory;
	for (int i = 0; i < 50; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0 && i % 5 == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		if (child == 0) {
			if (i % 5 == 1)
				raise(SIGKILL);
			_exit(i);
		}
		CHECK(waitpid(child, &status, 0) == child);
		if (i % 5 == 1)
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		else
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == (i % 5 == 0 ? 0 : i));
	}
	return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *count(void *unused)
{
	for (int i = 0; i < 5000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	return unused;
}

static int threads(const char *directory)
{
	pthread_t all[4];

	(void)directory;
	counter = 0;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&all[i], NULL, count, NULL) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(all[i], NULL) == 0);
	CHECK(counter == 4 * 5000);
	return 0;
}

static int timers(const char *directory)
{
	struct itimerspec soon = { .it_value.tv_nsec = 20 * 1000 * 1000 };
	struct epoll_event event = { .events = EPOLLIN };
	struct timespec nap = { .tv_nsec = 5 * 1000 * 1000 };
	uint64_t ticks;
	int timer, poller;

	(void)directory;
	CHECK((timer = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
	CHECK((poller = epoll_create1(0)) >= 0);
	CHECK(epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event) == 0);
	CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0);
	CHECK(nanosleep(&nap, NULL) == 0);
	CHECK(epoll_wait(poller, &event, 1, 10000) == 1);
	CHECK(read(timer, &ticks, sizeof(ticks)) == sizeof(ticks) && ticks == 1);
	close(timer);
	close(poller);
	return 0;
}

static int read_files_in(const char *directory)
{
	DIR *listing = opendir(directory);
	struct dirent *entry;
	int count = 0;

	if (!listing)
		return -1;
	while ((entry = readdir(listing)) != NULL) {
		char piece[PAGE];
		struct pollfd ready;
		int fd;

		/* Those that wait for an event, or take a log's lines away from others, are no business of ours. */
		if (!strcmp(entry->d_name, "kmsg") || !strcmp(entry->d_name, "kcore") || !strcmp(entry->d_name, "kpagecount"))
			continue;
		fd = openat(dirfd(listing), entry->d_name, O_RDONLY | O_NONBLOCK);
		if (fd < 0)
			continue;
		ready = (struct pollfd){ .fd = fd, .events = POLLIN };
		/* An amount, and not to the end: some have none. */
		for (int i = 0; i < 16 && poll(&ready, 1, 0) >= 0 && read(fd, piece, sizeof(piece)) > 0; i++)
			count++;
		close(fd);
	}
	closedir(listing);
	return count;
}

static int proc(const char *directory)
{
	(void)directory;
	CHECK(read_files_in("/proc") > 20);
	CHECK(read_files_in("/proc/self") > 15);
	CHECK(read_files_in("/proc/net") > 10);
	CHECK(read_files_in("/proc/sys/kernel") > 20);
	CHECK(read_files_in("/proc/sys/net/ipv4") > 20);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *directory);
} parts[] = {
	{ "pipes", pipes }, { "unix sockets", unix_sockets }, { "tcp", tcp }, { "udp", udp }, { "links", links },
	{ "memory", memory }, { "processes", processes }, { "threads", threads }, { "timers", timers }, { "proc", proc },
};

static int report(const char *name, int result)
{
	if (result == 0)
		printf("ok %s\n", name);
	else
		printf("failed %s\n", name);
	fflush(stdout);
	return result != 0;
}

int main(int argc, char **argv)
{
	char *usual[] = { "/tmp" };
	char **directories = argc > 1 ? argv + 1 : usual;
	int failures = 0;

	signal(SIGPIPE, SIG_IGN);
	alarm(MOST_SECONDS);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		failures += report(parts[i].name, parts[i].run(NULL));
	for (int i = 0; i < (argc > 1 ? argc - 1 : 1); i++)
		failures += report(directories[i], files(directories[i]));
	return failures == 0 ? 0 : 1;
}
