// SPDX-License-Identifier: GPL-2.0
/*
 * process_times LIST COMMAND [ARGUMENT]...: which of a command's processes used how much?
 *
 * wait4(2) tells a parent what a child and all below it used, as one sum, and nobody
 * else anything.  So the command and whatever it starts are traced, for nothing but
 * their ends: no system call and no memory access is stopped at.  A process that has
 * ended and is not reaped yet still has its CPU clock, exact to the nanosecond.
 *
 * For each process LIST gets a line, in the order of their ends:
 *
 *     PID PARENT START END CPU COMMAND PEAK COMMAND-PEAK NAME
 *
 * START and END in ns of CLOCK_MONOTONIC (START to 10 ms, rounded down), CPU in ns with all of
 * its threads and none of its children, COMMAND the same of the command itself until then,
 * PEAK the most resident memory in KB since its last exec, COMMAND-PEAK the same of the command
 * itself until then, NAME as in /proc/PID/comm.
 * The last line is what wait4(2) says of the whole: `sum NS`.  The exit status is the
 * command's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000LL

/* The kernel's largest PID; of which only the pages are there that are written to. */
static uint32_t peak_kb[1 << 22];
static FILE *list;
static clockid_t command_clock;
static pid_t command;

static int64_t now(clockid_t clock)
{
	struct timespec time;

	if (clock_gettime(clock, &time))
		return -1;
	return time.tv_sec * NS_PER_SECOND + time.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "process_times: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* Called while the process still has its memory; what is known of it stays if it has none. */
static void note_peak(pid_t pid)
{
	char path[64], line[256];
	unsigned int kb;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	if (!status)
		return;
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %u kB", &kb) == 1)
			peak_kb[pid] = kb;
	fclose(status);
}

/* Called for a process that has ended and is not reaped yet. */
static void note_end(pid_t pid)
{
	int64_t end = now(CLOCK_MONOTONIC), since_boot = now(CLOCK_BOOTTIME);
	char path[64], text[1024], *name, *name_end;
	unsigned long long start;
	clockid_t clock;
	int64_t cpu;
	int parent;
	FILE *stat;

	/* A thread's number is no process's clock. */
	if (clock_getcpuclockid(pid, &clock))
		return;
	cpu = now(clock);
	if (cpu < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "r");
	if (!stat)
		fail(path);
	text[fread(text, 1, sizeof(text) - 1, stat)] = 0;
	fclose(stat);
	name = strchr(text, '(');
	name_end = strrchr(text, ')');
	if (!name || !name_end)
		fail(path);
	*name_end = 0;
	/* Fields 4 and 22 of proc(5). */
	if (sscanf(name_end + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &parent, &start) != 2)
		fail(path);
	start = start * (NS_PER_SECOND / sysconf(_SC_CLK_TCK)) - (since_boot - end);
	note_peak(command);
	fprintf(list, "%d %d %lld %lld %lld %lld %u %u %s\n", pid, parent, (long long)start,
		(long long)end, (long long)cpu, (long long)now(command_clock), peak_kb[pid],
		peak_kb[command], name + 1);
	peak_kb[pid] = 0;
}

/* Lets a stopped process go on, with the signal that it was stopped for. */
static void resume(pid_t pid, int signal, int event)
{
	int is_group_stop = event == PTRACE_EVENT_STOP && signal != SIGTRAP;

	/* It may be gone already: killed from outside. */
	if (is_group_stop)
		ptrace(PTRACE_LISTEN, pid, 0, 0);
	else
		ptrace(PTRACE_CONT, pid, 0, event ? 0 : signal);
}

/* Returns the command's exit status. */
static int trace(void)
{
	int result = 125, status, signal, event;
	struct rusage usage;
	siginfo_t info;
	pid_t pid;

	for (;;) {
		if (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | __WALL | WNOWAIT)) {
			if (errno == EINTR)
				continue;
			if (errno == ECHILD)
				return result;
			fail("waitid");
		}
		pid = info.si_pid;
		if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
			note_end(pid);
		if (wait4(pid, &status, __WALL, &usage) != pid)
			continue;
		if (WIFSTOPPED(status)) {
			signal = WSTOPSIG(status);
			event = status >> 16;
			if (event == PTRACE_EVENT_EXIT)
				note_peak(pid);
			resume(pid, signal, event);
		} else if (pid == command) {
			int64_t sum = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NS_PER_SECOND +
				      (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;

			fprintf(list, "sum %lld\n", (long long)sum);
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
	}
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
			     PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
	int gate[2], status;
	char byte;

	if (argc < 3) {
		fputs("usage: process_times LIST COMMAND [ARGUMENT]...\n", stderr);
		return 125;
	}
	list = fopen(argv[1], "we");
	if (!list)
		fail(argv[1]);
	if (pipe(gate))
		fail("pipe");
	command = fork();
	if (command < 0)
		fail("fork");
	if (command == 0) {
		/* Not before it is traced. */
		close(gate[1]);
		if (read(gate[0], &byte, 1) != 1)
			_exit(125);
		close(gate[0]);
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	close(gate[0]);
	if (clock_getcpuclockid(command, &command_clock))
		fail("clock_getcpuclockid");
	if (ptrace(PTRACE_SEIZE, command, 0, options))
		fail("ptrace");
	if (write(gate[1], "x", 1) != 1)
		fail("pipe");
	close(gate[1]);
	status = trace();
	if (fclose(list))
		fail(argv[1]);
	return status;
}
