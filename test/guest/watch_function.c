// SPDX-License-Identifier: GPL-2.0
/*
 * Watches a function of the kernel in the ways that tracing tools do: perf events of a kprobe and a kretprobe, and BPF
 * programs at its entry and exit (fentry, fexit).
 *
 *	watch_function NAME
 *
 * Prints "watching", and for each line of input how often each of them has fired.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As many as a guest has. */
#define CPUS	2

static void fail(const char *what)
{
	perror(what);
	exit(70);
}

static unsigned long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long number;

	if (!file || fscanf(file, "%lu", &number) != 1)
		fail(path);
	fclose(file);
	return number;
}

static int open_probe(const char *name, int at_return, int cpu)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	int fd;

	attr.type = (unsigned int)read_number("/sys/bus/event_source/devices/kprobe/type");
	attr.config = (unsigned long)at_return;
	attr.config1 = (unsigned long)name;
	fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		fail("perf_event_open");
	return fd;
}

/* Bytes that follow a type, by its kind: Documentation/bpf/btf.rst. */
static unsigned int more_bytes(const struct btf_type *type)
{
	unsigned int count = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return 12;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case BTF_KIND_ENUM64:
		return 12 * count;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return 8 * count;
	default:
		return 0;
	}
}

static unsigned int type_of_function(const char *name)
{
	const char *path = "/sys/kernel/btf/vmlinux";
	int fd = open(path, O_RDONLY);
	struct stat status;
	struct btf_header *header;
	char *at, *strings;
	unsigned int id;
	ssize_t count;

	if (fd < 0 || fstat(fd, &status))
		fail(path);
	header = malloc((size_t)status.st_size);
	if (!header)
		fail(path);
	/* sysfs gives a page at a time. */
	for (at = (char *)header; at < (char *)header + status.st_size; at += count) {
		count = read(fd, at, (size_t)((char *)header + status.st_size - at));
		if (count <= 0)
			fail(path);
	}
	at = (char *)header + header->hdr_len + header->type_off;
	strings = (char *)header + header->hdr_len + header->str_off;
	for (id = 1; at < strings; id++) {
		struct btf_type *type = (struct btf_type *)at;

		if (BTF_INFO_KIND(type->info) == BTF_KIND_FUNC && !strcmp(strings + type->name_off, name))
			return id;
		at += sizeof(*type) + more_bytes(type);
	}
	fprintf(stderr, "%s: not in %s\n", name, path);
	exit(70);
}

static long bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int attach_program(unsigned int function, unsigned int where)
{
	static const struct bpf_insn program[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },	/* r0 = 0 */
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_TRACING }, attach = { 0 };
	int fd;

	load.expected_attach_type = where;
	load.attach_btf_id = function;
	load.insns = (unsigned long)program;
	load.insn_cnt = 2;
	load.license = (unsigned long)"GPL";
	fd = (int)bpf(BPF_PROG_LOAD, &load);
	if (fd < 0)
		fail("BPF_PROG_LOAD");
	attach.raw_tracepoint.prog_fd = (unsigned int)fd;
	if (bpf(BPF_RAW_TRACEPOINT_OPEN, &attach) < 0)
		fail("BPF_RAW_TRACEPOINT_OPEN");
	return fd;
}

static unsigned long runs_of(int program)
{
	struct bpf_prog_info info = { 0 };
	union bpf_attr attr = { 0 };

	attr.info.bpf_fd = (unsigned int)program;
	attr.info.info = (unsigned long)&info;
	attr.info.info_len = sizeof(info);
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		fail("BPF_OBJ_GET_INFO_BY_FD");
	return info.run_cnt;
}

/* An event counts on one CPU. */
static unsigned long hits_of(const int *probes)
{
	unsigned long count, all = 0;
	int cpu;

	for (cpu = 0; cpu < CPUS; cpu++) {
		if (read(probes[cpu], &count, sizeof(count)) != sizeof(count))
			fail("perf event");
		all += count;
	}
	return all;
}

int main(int argc, char **argv)
{
	union bpf_attr statistics = { 0 };
	int kprobe[CPUS], kretprobe[CPUS], fentry, fexit, cpu;
	unsigned int function;

	if (argc != 2)
		return 64;
	statistics.enable_stats.type = BPF_STATS_RUN_TIME;
	if (bpf(BPF_ENABLE_STATS, &statistics) < 0)
		fail("BPF_ENABLE_STATS");
	for (cpu = 0; cpu < CPUS; cpu++) {
		kprobe[cpu] = open_probe(argv[1], 0, cpu);
		kretprobe[cpu] = open_probe(argv[1], 1, cpu);
	}
	function = type_of_function(argv[1]);
	fentry = attach_program(function, BPF_TRACE_FENTRY);
	fexit = attach_program(function, BPF_TRACE_FEXIT);
	puts("watching");
	fflush(stdout);
	while (getchar() != EOF) {
		printf("kprobe %lu kretprobe %lu fentry %lu fexit %lu\n", hits_of(kprobe), hits_of(kretprobe),
		       runs_of(fentry), runs_of(fexit));
		fflush(stdout);
	}
	return 0;
}
