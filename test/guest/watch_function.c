// SPDX-License-Identifier: GPL-2.0
/*
 * Watches a function of the kernel in the ways that tracing tools do: perf events of a kprobe and a kretprobe, and BPF
 * programs at its entry and exit (fentry, fexit).
 *
 *	watch_function NAME		in all of these ways
 *	watch_function NAME bpf		by BPF programs only
 *	watch_function NAME reader	by a BPF program that reads what the second argument points to, in user space,
 *					and sleeps until it can; NAME is a security hook that allows that
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

static const struct bpf_insn nothing[] = {
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },			/* r0 = 0 */
	{ .code = BPF_JMP | BPF_EXIT },
};

/* bpf_copy_from_user(r10 - 8, 8, second argument) */
static const struct bpf_insn reader[] = {
	{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_3, .src_reg = BPF_REG_1, .off = 8 }, /* r3 = r1[1] */
	{ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_10 },	/* r1 = r10 */
	{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_1, .imm = -8 },		/* r1 += -8 */
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 8 },		/* r2 = 8 */
	{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_copy_from_user },
	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },				/* r0 = 0 */
	{ .code = BPF_JMP | BPF_EXIT },
};

static int attach_program(union bpf_attr *load, unsigned int function, const struct bpf_insn *program,
			  unsigned int length)
{
	union bpf_attr attach = { 0 };
	int fd;

	load->attach_btf_id = function;
	load->insns = (unsigned long)program;
	load->insn_cnt = length;
	load->license = (unsigned long)"GPL";
	fd = (int)bpf(BPF_PROG_LOAD, load);
	if (fd < 0)
		fail("BPF_PROG_LOAD");
	attach.raw_tracepoint.prog_fd = (unsigned int)fd;
	if (bpf(BPF_RAW_TRACEPOINT_OPEN, &attach) < 0)
		fail("BPF_RAW_TRACEPOINT_OPEN");
	return fd;
}

static int attach_nothing(unsigned int function, unsigned int where)
{
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_TRACING };

	load.expected_attach_type = where;
	return attach_program(&load, function, nothing, 2);
}

static int attach_reader(unsigned int function)
{
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_LSM };

	load.expected_attach_type = BPF_LSM_MAC;
	load.prog_flags = BPF_F_SLEEPABLE;
	return attach_program(&load, function, reader, 7);
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
	int kprobe[CPUS], kretprobe[CPUS], program[2], programs = 0, probes, cpu;
	const char *how = argc == 3 ? argv[2] : "";
	unsigned int function;

	if (argc < 2 || argc > 3 || (*how && strcmp(how, "bpf") && strcmp(how, "reader")))
		return 64;
	statistics.enable_stats.type = BPF_STATS_RUN_TIME;
	if (bpf(BPF_ENABLE_STATS, &statistics) < 0)
		fail("BPF_ENABLE_STATS");
	probes = !*how;
	for (cpu = 0; probes && cpu < CPUS; cpu++) {
		kprobe[cpu] = open_probe(argv[1], 0, cpu);
		kretprobe[cpu] = open_probe(argv[1], 1, cpu);
	}
	function = type_of_function(argv[1]);
	if (!strcmp(how, "reader")) {
		program[programs++] = attach_reader(function);
	} else {
		program[programs++] = attach_nothing(function, BPF_TRACE_FENTRY);
		program[programs++] = attach_nothing(function, BPF_TRACE_FEXIT);
	}
	puts("watching");
	fflush(stdout);
	while (getchar() != EOF) {
		if (probes)
			printf("kprobe %lu kretprobe %lu ", hits_of(kprobe), hits_of(kretprobe));
		if (programs == 1)
			printf("reader %lu\n", runs_of(program[0]));
		else
			printf("fentry %lu fexit %lu\n", runs_of(program[0]), runs_of(program[1]));
		fflush(stdout);
	}
	return 0;
}
