// SPDX-License-Identifier: GPL-2.0
/*
 * The harness's hand inside the guest: runs commands that arrive over a serial port.
 *
 * Starting node takes seconds under emulation, and a shell on a serial line cannot carry binary data, exit
 * statuses and several commands at once; so this is a small static program that speaks frames. It is process
 * 1 and reaps every orphan.
 *
 * A frame, all numbers little-endian:
 *
 *	offset 0   u32  FRAME_MAGIC
 *	offset 4   u32  type
 *	offset 8   u32  command: chosen by the host, the same in every frame about that command
 *	offset 12  u32  length of the payload
 *	offset 16  u32  CRC-32 of bytes 4 to 15 and of the payload
 *	offset 20       payload
 *
 * from the host:
 *	EXEC      u32 uid, then strings that end in NUL: directory, shell command, NAME=VALUE...
 *	STDIN     bytes for the command's standard input; an empty payload closes it
 *	STDIN_AT  the same, the bytes lie in the shared memory (below)
 *	FREED     u32 bytes of our half that the host has taken so far, modulo 2^32
 *	KILL      u32 signal, sent to the command's process group
 *	POWEROFF
 * to the host:
 *	HELLO     once, when the agent listens: u32 size of each half of the shared memory
 *	STARTED   i32 pid, or minus an errno value
 *	STDOUT, STDERR         bytes
 *	STDOUT_AT, STDERR_AT   the same, in the shared memory
 *	EXIT      u32 wait status, u64 microseconds between fork and exit
 *	CREDIT    u32 bytes taken from the line so far, modulo 2^32
 *	FREED     u32 bytes of the host's half taken so far, modulo 2^32
 *
 * An emulated serial port moves 50 to 150 KB a second, each few bytes for an interrupt. So where the host offers
 * memory that both see (the second region of an ivshmem device, which needs no driver), large payloads lie
 * there and the frame says where: u32 position, u32 length, u32 CRC-32. The first half is a ring for what the
 * host sends, the second for what we send; a position counts bytes since the start, modulo 2^32, and is taken
 * modulo the size of the half (a power of two) to find the place. FREED says how far the other end has read.
 * When our half is full, or there is none, payloads go over the line.
 *
 * The kernel throws away what a serial port receives faster than anybody reads it (nobody answers RTS here), so
 * the host keeps no more than a window of bytes under way and CREDIT opens it again. Nothing is ever repeated:
 * a bad checksum means that the line lost something, and the agent ends, which panics the guest.
 *
 * A command has ended when its first process has, and what its pipes held then has been sent: a background
 * process that inherited the pipes does not keep the command alive.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAGIC	0x4d56534bu	/* "KSVM" */
#define HEADER		20u
#define MAX_PAYLOAD	(4u << 20)
#define CHUNK		8192u
#define CREDIT_STEP	4096u
#define READ_AT_ONCE	65536u	/* what a pipe holds */
#define INLINE_LIMIT	512u	/* longer output lies in the shared memory */
#define MAX_COMMANDS	64

enum {
	F_EXEC = 1, F_STDIN, F_KILL, F_POWEROFF, F_STDIN_AT,
	F_FREED = 32,
	F_HELLO = 64, F_STARTED, F_STDOUT, F_STDERR, F_EXIT, F_CREDIT, F_STDOUT_AT, F_STDERR_AT,
};

struct command {
	uint32_t id;
	pid_t pid;		/* 0: free slot; also the process group */
	int in, out, err;	/* our ends of its pipes, -1 when closed */
	int exited, status;
	uint64_t started, ended;
	uint8_t *pending;	/* input that its pipe has not taken yet */
	size_t pending_size, pending_sent;
	int close_after;	/* close its input once all of that is written */
};

static struct command commands[MAX_COMMANDS];
static int line = -1;

/* The two rings; size 0 where there is no shared memory. */
static uint8_t *from_host, *to_host;
static uint32_t ring_size, written, freed;
static uint32_t crc_table[256];

static void die(const char *what)
{
	dprintf(2, "agent: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int bit = 0; bit < 8; bit++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
		crc_table[i] = c;
	}
}

static uint32_t crc_add(uint32_t crc, const uint8_t *bytes, size_t size)
{
	while (size--)
		crc = crc >> 8 ^ crc_table[(crc ^ *bytes++) & 0xff];
	return crc;
}

static uint32_t crc_frame(const uint8_t *header, const uint8_t *payload, size_t size)
{
	return ~crc_add(crc_add(~0u, header + 4, 12), payload, size);
}

/* The guest is little-endian, so numbers go out as they lie. */
static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static void write_all(const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t n = write(line, bytes, size);

		if (n < 0 && errno != EINTR)
			die("write to the line");
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
		}
	}
}

static void send_frame(uint32_t type, uint32_t id, const void *payload, size_t size)
{
	static uint8_t frame[HEADER + CHUNK];

	put32(frame, FRAME_MAGIC);
	put32(frame + 4, type);
	put32(frame + 8, id);
	put32(frame + 12, (uint32_t)size);
	if (size)
		memcpy(frame + HEADER, payload, size);
	put32(frame + 16, crc_frame(frame, frame + HEADER, size));
	write_all(frame, HEADER + size);
}

static void send_number(uint32_t type, uint32_t id, uint32_t value)
{
	send_frame(type, id, &value, sizeof(value));
}

/* Copies between a ring and a buffer, in two pieces where the ring ends between. */
static void ring_copy(uint8_t *ring, uint32_t position, uint8_t *buffer, uint32_t size, int into_ring)
{
	uint32_t at = position & (ring_size - 1);
	uint32_t first = size < ring_size - at ? size : ring_size - at;

	if (into_ring) {
		memcpy(ring + at, buffer, first);
		memcpy(ring, buffer + first, size - first);
	} else {
		memcpy(buffer, ring + at, first);
		memcpy(buffer + first, ring, size - first);
	}
}

static void send_output(uint32_t type, uint32_t id, uint8_t *bytes, uint32_t size)
{
	uint8_t where[12];

	if (size > INLINE_LIMIT && ring_size - (written - freed) >= size) {
		ring_copy(to_host, written, bytes, size, 1);
		put32(where, written);
		put32(where + 4, size);
		put32(where + 8, ~crc_add(~0u, bytes, size));
		written += size;
		send_frame(type == F_STDOUT ? F_STDOUT_AT : F_STDERR_AT, id, where, sizeof(where));
		return;
	}
	for (uint32_t at = 0; at < size; at += CHUNK)
		send_frame(type, id, bytes + at, size - at < CHUNK ? size - at : CHUNK);
}

static struct command *find_command(uint32_t id)
{
	for (int i = 0; i < MAX_COMMANDS; i++)
		if (commands[i].pid && commands[i].id == id)
			return &commands[i];
	return NULL;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In the child: never returns. 126 and 127 are what a shell says when it cannot start a program. */
static void become(uint32_t uid, char *directory, char *script, char **environment)
{
	char *argv[] = { "sh", "-c", script, NULL };
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid))) {
		dprintf(2, "agent: uid %u: %s\n", uid, strerror(errno));
		_exit(126);
	}
	if (chdir(directory)) {
		dprintf(2, "agent: chdir %s: %s\n", directory, strerror(errno));
		_exit(126);
	}
	execve("/bin/sh", argv, environment);
	_exit(127);
}

static int start_command(struct command *c, uint32_t uid, char *directory, char *script, char **environment)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC))
		return -errno;
	c->started = now_us();
	c->pid = fork();
	if (c->pid < 0) {
		int error = errno;

		c->pid = 0;
		for (int i = 0; i < 2; i++) {
			close(in[i]);
			close(out[i]);
			close(err[i]);
		}
		return -error;
	}
	if (c->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		become(uid, directory, script, environment);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	c->in = in[1];
	c->out = out[0];
	c->err = err[0];
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	fcntl(c->err, F_SETFL, O_NONBLOCK);
	return c->pid;
}

static void on_exec(uint32_t id, uint8_t *payload, size_t size)
{
	char *strings[256];
	size_t count = 0;
	struct command *c = NULL;

	for (int i = 0; i < MAX_COMMANDS && !c; i++)
		if (!commands[i].pid)
			c = &commands[i];
	if (!c) {
		send_number(F_STARTED, id, (uint32_t)-EAGAIN);
		return;
	}
	if (size >= 4 && payload[size - 1] == 0) {
		char *end = (char *)payload + size;

		for (char *s = (char *)payload + 4; s < end && count < 255; s += strlen(s) + 1)
			strings[count++] = s;
	}
	if (count < 2) {
		send_number(F_STARTED, id, (uint32_t)-EINVAL);
		return;
	}
	strings[count] = NULL;
	memset(c, 0, sizeof(*c));
	c->id = id;
	send_number(F_STARTED, id, (uint32_t)start_command(c, get32(payload), strings[0], strings[1], strings + 2));
}

static void feed(struct command *c)
{
	while (c->pending_sent < c->pending_size) {
		ssize_t n = write(c->in, c->pending + c->pending_sent, c->pending_size - c->pending_sent);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {	/* it does not read any more: drop the rest */
			c->close_after = 1;
			break;
		}
		c->pending_sent += (size_t)n;
	}
	free(c->pending);
	c->pending = NULL;
	c->pending_size = c->pending_sent = 0;
	if (c->close_after)
		close_end(&c->in);
}

static void on_stdin(uint32_t id, const uint8_t *payload, size_t size)
{
	struct command *c = find_command(id);

	if (!c || c->in < 0)
		return;
	if (size == 0) {
		c->close_after = 1;
	} else {
		uint8_t *grown = realloc(c->pending, c->pending_size + size);

		if (!grown)
			die("memory for a command's input");
		memcpy(grown + c->pending_size, payload, size);
		c->pending = grown;
		c->pending_size += size;
	}
	feed(c);
}

static void on_stdin_at(uint32_t id, const uint8_t *payload, size_t size)
{
	uint32_t length = size == 12 ? get32(payload + 4) : 0;
	uint8_t *bytes = length && length <= ring_size ? malloc(length) : NULL;

	errno = EPROTO;
	if (!bytes)
		die("a reference outside the shared memory");
	ring_copy(from_host, get32(payload), bytes, length, 0);
	if (~crc_add(~0u, bytes, length) != get32(payload + 8))
		die("bytes in the shared memory have a wrong checksum");
	send_number(F_FREED, 0, get32(payload) + length);
	on_stdin(id, bytes, length);
	free(bytes);
}

static void on_frame(uint32_t type, uint32_t id, uint8_t *payload, size_t size)
{
	struct command *c;

	switch (type) {
	case F_EXEC:
		on_exec(id, payload, size);
		break;
	case F_STDIN:
		on_stdin(id, payload, size);
		break;
	case F_STDIN_AT:
		on_stdin_at(id, payload, size);
		break;
	case F_FREED:
		freed = size == 4 ? get32(payload) : freed;
		break;
	case F_KILL:
		c = find_command(id);
		if (c && !c->exited && size == 4)
			kill(-c->pid, (int)get32(payload));
		break;
	case F_POWEROFF:
		reboot(RB_POWER_OFF);
		break;
	default:
		errno = EPROTO;
		die("unknown frame");
	}
}

/* Takes what the line has, and hands on every frame that is complete. */
static void read_line(void)
{
	static uint8_t *buffer;
	static size_t held, room;
	static uint32_t taken, credited;
	size_t at = 0;
	ssize_t n;

	if (room - held < CHUNK) {
		room = held + CHUNK < 65536 ? 65536 : (held + CHUNK) * 2;
		buffer = realloc(buffer, room);
		if (!buffer)
			die("memory for frames");
	}
	n = read(line, buffer + held, CHUNK);
	if (n <= 0) {
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		die("read from the line");
	}
	held += (size_t)n;
	taken += (uint32_t)n;
	if (taken - credited >= CREDIT_STEP) {
		credited = taken;
		send_number(F_CREDIT, 0, taken);
	}
	while (held - at >= HEADER) {
		uint8_t *frame = buffer + at;
		size_t size = get32(frame + 12);

		errno = EPROTO;
		if (get32(frame) != FRAME_MAGIC || size > MAX_PAYLOAD)
			die("the line lost its place");
		if (held - at < HEADER + size)
			break;
		if (get32(frame + 16) != crc_frame(frame, frame + HEADER, size))
			die("a frame has a wrong checksum");
		on_frame(get32(frame + 4), get32(frame + 8), frame + HEADER, size);
		at += HEADER + size;
	}
	memmove(buffer, buffer + at, held - at);
	held -= at;
}

/* Sends one chunk of a command's output; false when there is nothing now. */
static int drain(struct command *c, int *fd, uint32_t type)
{
	static uint8_t chunk[READ_AT_ONCE];
	ssize_t n = *fd < 0 ? 0 : read(*fd, chunk, sizeof(chunk));

	if (n > 0) {
		send_output(type, c->id, chunk, (uint32_t)n);
		return 1;
	}
	if (n == 0 || errno != EAGAIN)
		close_end(fd);
	return 0;
}

/* What the pipe holds now and no more: somebody in the background may go on filling it. */
static void drain_held(struct command *c, int *fd, uint32_t type)
{
	int held = 0;

	if (*fd < 0 || ioctl(*fd, FIONREAD, &held))
		return;
	for (int left = held; left > 0; left -= (int)READ_AT_ONCE)
		if (!drain(c, fd, type))
			return;
}

static void finish(struct command *c)
{
	uint8_t payload[12];
	uint64_t elapsed = c->ended - c->started;

	drain_held(c, &c->out, F_STDOUT);
	drain_held(c, &c->err, F_STDERR);
	close_end(&c->in);
	close_end(&c->out);
	close_end(&c->err);
	free(c->pending);
	put32(payload, (uint32_t)c->status);
	memcpy(payload + 4, &elapsed, sizeof(elapsed));
	c->pid = 0;
	send_frame(F_EXIT, c->id, payload, sizeof(payload));
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < MAX_COMMANDS; i++)
			if (commands[i].pid == pid && !commands[i].exited) {
				commands[i].exited = 1;
				commands[i].status = status;
				commands[i].ended = now_us();
			}
}

static int open_line(const char *path)
{
	struct termios mode;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &mode))
		die(path);
	cfmakeraw(&mode);
	mode.c_cflag |= CLOCAL | CREAD;
	mode.c_cflag &= ~(tcflag_t)CRTSCTS;
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	cfsetspeed(&mode, B115200);
	if (tcsetattr(fd, TCSANOW, &mode))
		die(path);
	return fd;
}

/*
 * The device needs no driver, but somebody must switch it on.  A kernel that is locked down lets nobody map
 * it (EPERM): then, as without the device, everything goes over the line.
 */
static void map_shared_memory(const char *device)
{
	char path[256];
	struct stat region;
	uint8_t *memory;
	int fd;

	snprintf(path, sizeof(path), "%s/enable", device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;		/* no such device: everything goes over the line */
	if (write(fd, "1", 1) != 1)
		die(path);
	close(fd);
	snprintf(path, sizeof(path), "%s/resource2", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &region))
		die(path);
	memory = mmap(NULL, (size_t)region.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED && errno != EPERM)
		die(path);
	close(fd);
	if (memory == MAP_FAILED)
		return;
	ring_size = (uint32_t)region.st_size / 2;
	from_host = memory;
	to_host = memory + ring_size;
}

static void serve(int children)
{
	struct pollfd polls[2 + 3 * MAX_COMMANDS];
	struct signalfd_siginfo info;

	for (;;) {
		nfds_t count = 2;

		polls[0] = (struct pollfd){ .fd = line, .events = POLLIN };
		polls[1] = (struct pollfd){ .fd = children, .events = POLLIN };
		for (int i = 0; i < MAX_COMMANDS; i++) {
			struct command *c = &commands[i];

			if (!c->pid)
				continue;
			polls[count++] = (struct pollfd){ .fd = c->out, .events = POLLIN };
			polls[count++] = (struct pollfd){ .fd = c->err, .events = POLLIN };
			if (c->pending_size)
				polls[count++] = (struct pollfd){ .fd = c->in, .events = POLLOUT };
		}
		if (poll(polls, count, -1) < 0 && errno != EINTR)
			die("poll");
		if (polls[1].revents && read(children, &info, sizeof(info)) < 0 && errno != EAGAIN)
			die("signalfd");
		reap();
		if (polls[0].revents)
			read_line();
		for (int i = 0; i < MAX_COMMANDS; i++) {
			struct command *c = &commands[i];

			if (!c->pid)
				continue;
			if (c->pending_size)
				feed(c);
			drain(c, &c->out, F_STDOUT);
			drain(c, &c->err, F_STDERR);
			if (c->exited)
				finish(c);
		}
	}
}

int main(int argc, char **argv)
{
	sigset_t child;
	int children;

	if (argc != 3) {
		dprintf(2, "usage: agent SERIAL-DEVICE IVSHMEM-DEVICE\n");
		return 64;
	}
	crc_init();
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (children < 0)
		die("signalfd");
	line = open_line(argv[1]);
	map_shared_memory(argv[2]);
	send_number(F_HELLO, 0, ring_size);
	serve(children);
}
