// SPDX-License-Identifier: GPL-2.0
/*
 * Reads what decoders of processor traces are told of code that is changed: PERF_RECORD_TEXT_POKE.
 *
 *	text_pokes
 *
 * Prints "watching". For each line of input, prints one line for each record that has come since, and "end":
 *
 *	ffffffff81a0b0c5 4157415641 e9f6ffd43e
 *
 * which is where, the old bytes and the new ones. A record is written by the CPU on which the change was made, so there
 * is an event for each, and records of one CPU are in their order.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As many as a guest has. */
#define CPUS	2
/* A power of two, behind the page of the pointers. */
#define SIZE	65536ul

struct poke {
	unsigned long long addr;
	unsigned short old_size;
	unsigned short new_size;
	/* The old bytes, the new bytes, zeroes up to a multiple of eight. */
	unsigned char bytes[];
} __attribute__((packed));

static void fail(const char *what)
{
	perror(what);
	exit(70);
}

static struct perf_event_mmap_page *open_ring(int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.text_poke = 1,
	};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	void *ring;

	if (fd < 0)
		fail("perf_event_open");
	ring = mmap(NULL, page + SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		fail("mmap");
	return ring;
}

static void copy_out(const struct perf_event_mmap_page *ring, unsigned long long at, void *to, size_t size)
{
	const unsigned char *data = (const unsigned char *)ring + ring->data_offset;
	size_t i;

	for (i = 0; i < size; i++)
		((unsigned char *)to)[i] = data[(at + i) % SIZE];
}

static void print_bytes(const unsigned char *bytes, size_t size)
{
	size_t i;

	putchar(' ');
	for (i = 0; i < size; i++)
		printf("%02x", bytes[i]);
}

static void print_records(struct perf_event_mmap_page *ring)
{
	unsigned long long head = __atomic_load_n(&ring->data_head, __ATOMIC_ACQUIRE);
	unsigned long long at = ring->data_tail;

	while (at < head) {
		struct perf_event_header header;
		/* No record is longer than its size can say. */
		static unsigned char body[65536];
		const struct poke *poke = (const struct poke *)body;

		copy_out(ring, at, &header, sizeof(header));
		copy_out(ring, at + sizeof(header), body, header.size - sizeof(header));
		at += header.size;
		if (header.type == PERF_RECORD_LOST) {
			fprintf(stderr, "text_pokes: records were lost\n");
			exit(70);
		}
		if (header.type != PERF_RECORD_TEXT_POKE)
			continue;
		printf("%llx", poke->addr);
		print_bytes(poke->bytes, poke->old_size);
		print_bytes(poke->bytes + poke->old_size, poke->new_size);
		putchar('\n');
	}
	__atomic_store_n(&ring->data_tail, head, __ATOMIC_RELEASE);
}

int main(void)
{
	struct perf_event_mmap_page *rings[CPUS];
	int cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		rings[cpu] = open_ring(cpu);
	puts("watching");
	fflush(stdout);
	while (getchar() != EOF) {
		for (cpu = 0; cpu < CPUS; cpu++)
			print_records(rings[cpu]);
		puts("end");
		fflush(stdout);
	}
	return 0;
}
