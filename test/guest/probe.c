// SPDX-License-Identifier: GPL-2.0
/*
 * Small questions to the kernel that no shell command asks, one a subcommand; each prints one line.
 *
 *	probe getpriority	of process 4242, by the 64-bit and by the 32-bit entry of the kernel
 *	probe dirents DIR	types of "." and "..", then the same into a page that is not writable
 *	probe null-read		reads no byte from a pipe
 *	probe mincore		asks whether a page that was just written is in memory
 *
 * Exit status 70 when something else goes wrong, which says nothing about the kernel.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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
	fprintf(stderr, "usage: probe getpriority | dirents DIR | null-read | mincore\n");
	return 64;
}
