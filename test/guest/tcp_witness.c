// SPDX-License-Identifier: GPL-2.0
/*
 * A busy TCP connection on loopback that notices when anything happens to it.
 *
 *	tcp_witness [-s STOP-FILE] [-t TIMELINE-FILE] [-b BURST-BYTES] [-p PERIOD-US]
 *
 * Two processes hold one connection. Each sends a stream of pseudo-random words, in bursts, and receives the
 * other's; each counts and checksums what it sent and what it received. SIGTERM, SIGINT, or the stop file appearing
 * ends it: both finish the burst they are in, close their direction and read to the end of the other's. Then
 * the last line on standard output is a JSON object, and the exit status is 0 only if both directions carried
 * data, both ends agree on every byte, and no call failed.
 *
 * SIGUSR1 prints a mark, {"markMs","received":[A,B]}, a line of its own. The timeline gets a line every 10 ms:
 * milliseconds, bytes that the server has received, bytes that the client has received.
 *
 * Times are CLOCK_MONOTONIC in milliseconds, which all processes of a machine share. A gap is the time between
 * two receives that returned data: bursts come every 2 ms, so a longer one means that somebody did not run.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_BURST	(1u << 20)
#define SAMPLE_US	10000u
#define STOP_CHECK_US	50000u

/* What one process knows; in memory that both share. */
struct end {
	uint64_t sent, sent_sum;
	_Atomic uint64_t received;
	uint64_t received_sum;
	uint64_t gap_us, gap_at_us;	/* the longest gap, and when it began */
	uint64_t last_us;		/* last receive that returned data */
	uint64_t resets, errors;
	int first_error;
};

struct shared {
	_Atomic int stop;
	struct end ends[2];		/* 0 client, 1 server */
};

static struct shared *shared;
static volatile sig_atomic_t stop_signal, mark_signal;
static uint64_t burst = 32768, period_us = 2000;
static const char *stop_file;
static FILE *timeline;

static void on_stop(int signal)
{
	(void)signal;
	stop_signal = 1;
}

static void on_mark(int signal)
{
	(void)signal;
	mark_signal = 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* xorshift64: a stream without a period that a lost or doubled segment could hide in. */
static uint64_t next_word(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A word at a time, the order counts. */
static uint64_t add_words(uint64_t sum, const uint64_t *words, size_t count)
{
	while (count--)
		sum = (sum ^ *words++) * 0x100000001b3ull;
	return sum;
}

static void note_error(struct end *e)
{
	if (errno == ECONNRESET || errno == EPIPE)
		e->resets++;
	e->errors++;
	if (!e->first_error)
		e->first_error = errno;
}

struct stream {
	struct end *end;
	int socket;
	uint64_t state;		/* of the generator */
	uint64_t *out;		/* a burst; */
	size_t out_at, out_size;	/* what of it is sent already, and its size: equal when it is done */
	uint64_t in[8193];	/* received: whole words, and one that is not complete */
	size_t in_held;		/* bytes of that one */
};

/* False when the connection is broken. */
static int send_burst(struct stream *s)
{
	ssize_t n;

	if (s->out_at == s->out_size) {
		for (size_t i = 0; i < burst / 8; i++)
			s->out[i] = next_word(&s->state);
		s->out_at = 0;
		s->out_size = burst;
		s->end->sent_sum = add_words(s->end->sent_sum, s->out, burst / 8);
	}
	n = send(s->socket, (char *)s->out + s->out_at, s->out_size - s->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 1;
		note_error(s->end);
		return 0;
	}
	s->out_at += (size_t)n;
	s->end->sent += (uint64_t)n;
	return 1;
}

/* 1 data, 0 end of the stream, -1 the connection is broken. */
static int receive(struct stream *s)
{
	struct end *e = s->end;
	ssize_t n = recv(s->socket, (char *)s->in + s->in_held, sizeof(s->in) - 8, MSG_DONTWAIT);
	uint64_t now = now_us();
	size_t held;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 1;
	if (n < 0) {
		note_error(e);
		return -1;
	}
	if (n == 0)
		return 0;
	if (e->last_us && now - e->last_us > e->gap_us) {
		e->gap_us = now - e->last_us;
		e->gap_at_us = e->last_us;
	}
	e->last_us = now;
	held = s->in_held + (size_t)n;
	e->received_sum = add_words(e->received_sum, s->in, held / 8);
	s->in[0] = s->in[held / 8];
	s->in_held = held % 8;
	e->received += (uint64_t)n;
	return 1;
}

/* Only in the client: marks, timeline, stop file. */
static void keep_records(uint64_t now)
{
	static uint64_t next_sample, next_check;

	if (mark_signal) {
		mark_signal = 0;
		printf("{\"markMs\":%.3f,\"received\":[%" PRIu64 ",%" PRIu64 "]}\n", (double)now / 1000,
		       (uint64_t)shared->ends[1].received, (uint64_t)shared->ends[0].received);
		fflush(stdout);
	}
	if (timeline && now >= next_sample) {
		next_sample = now + SAMPLE_US;
		fprintf(timeline, "%.3f %" PRIu64 " %" PRIu64 "\n", (double)now / 1000,
			(uint64_t)shared->ends[1].received, (uint64_t)shared->ends[0].received);
	}
	if (stop_file && now >= next_check) {
		next_check = now + STOP_CHECK_US;
		if (access(stop_file, F_OK) == 0)
			shared->stop = 1;
	}
}

static void converse(int socket, int which)
{
	static struct stream stream;
	struct stream *s = &stream;
	uint64_t due = now_us();
	int sending = 1, receiving = 1;

	s->end = &shared->ends[which];
	s->socket = socket;
	s->state = which ? 0x9e3779b97f4a7c15ull : 0xd1b54a32d192ed03ull;
	s->out = malloc(burst);
	if (!s->out) {
		note_error(s->end);
		return;
	}
	while (sending || receiving) {
		struct pollfd p = { .fd = socket, .events = receiving ? POLLIN : 0 };
		uint64_t now = now_us();
		struct timespec wait = { 0, 0 };

		if (stop_signal)
			shared->stop = 1;
		if (which == 0)
			keep_records(now);
		if (sending && now >= due) {
			if (!send_burst(s))
				return;
			if (s->out_at < s->out_size) {
				p.events |= POLLOUT;
			} else {
				due = now + period_us;
				if (shared->stop) {
					shutdown(socket, SHUT_WR);
					sending = 0;
				}
			}
		}
		now = now_us();
		wait.tv_nsec = (long)((due > now && sending ? due - now : period_us) * 1000);
		if (ppoll(&p, 1, &wait, NULL) > 0 && p.revents & (POLLIN | POLLHUP | POLLERR) && receiving) {
			int got = receive(s);

			if (got < 0)
				return;
			receiving = got;
		}
	}
}

/* A connected pair of TCP sockets on 127.0.0.1. */
static int connect_pair(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(address);
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);

	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0 || pair[0] < 0 || bind(listener, (struct sockaddr *)&address, size) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &size) ||
	    connect(pair[0], (struct sockaddr *)&address, size))
		return -1;
	pair[1] = accept(listener, NULL, NULL);
	if (pair[1] < 0)
		return -1;
	close(listener);
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return 0;
}

static int print_direction(const char *name, const struct end *from, const struct end *to)
{
	printf("\"%s\":{\"sentBytes\":%" PRIu64 ",\"receivedBytes\":%" PRIu64
	       ",\"sentChecksum\":\"%016" PRIx64 "\",\"receivedChecksum\":\"%016" PRIx64
	       "\",\"longestGapMs\":%.3f,\"longestGapAtMs\":%.3f},",
	       name, from->sent, (uint64_t)to->received, from->sent_sum, to->received_sum,
	       (double)to->gap_us / 1000, (double)to->gap_at_us / 1000);
	return from->sent > 0 && from->sent == to->received && from->sent_sum == to->received_sum;
}

static int report(uint64_t begun, int child_status)
{
	struct end *client = &shared->ends[0], *server = &shared->ends[1];
	struct end *slower = client->gap_us > server->gap_us ? client : server;
	uint64_t errors = client->errors + server->errors;
	int first = client->first_error ? client->first_error : server->first_error;
	int agreed = 1;

	printf("{");
	agreed &= print_direction("toServer", client, server);
	agreed &= print_direction("toClient", server, client);
	agreed &= errors == 0 && child_status == 0;
	printf("\"longestGapMs\":%.3f,\"longestGapAtMs\":%.3f,\"startedMs\":%.3f,\"durationMs\":%.3f,"
	       "\"resets\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"firstError\":%s%s%s,\"agreed\":%s}\n",
	       (double)slower->gap_us / 1000, (double)slower->gap_at_us / 1000, (double)begun / 1000,
	       (double)(now_us() - begun) / 1000, client->resets + server->resets, errors,
	       first ? "\"" : "", first ? strerrorname_np(first) : "null", first ? "\"" : "",
	       agreed ? "true" : "false");
	fflush(stdout);
	return agreed ? 0 : 1;
}

static int read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "s:t:b:p:")) != -1) {
		if (option == 's') {
			stop_file = optarg;
		} else if (option == 't') {
			timeline = fopen(optarg, "we");
			if (!timeline) {
				perror(optarg);
				return 70;
			}
			/* Whoever reads along must not see half a line. */
			setvbuf(timeline, NULL, _IOLBF, 0);
		} else if (option == 'b') {
			burst = strtoull(optarg, NULL, 10) & ~7ull;
		} else if (option == 'p') {
			period_us = strtoull(optarg, NULL, 10);
		} else {
			return 64;
		}
	}
	if (optind != argc || burst < 8 || burst > MAX_BURST || period_us < 100 || period_us > 900000) {
		fprintf(stderr, "usage: tcp_witness [-s STOP-FILE] [-t TIMELINE] [-b BYTES] [-p MICROSECONDS]\n");
		return 64;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_stop }, mark = { .sa_handler = on_mark };
	int pair[2], status = -1, wrong = read_options(argc, argv);
	uint64_t begun;
	pid_t child;

	if (wrong)
		return wrong;
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGUSR1, &mark, NULL);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || connect_pair(pair)) {
		perror("tcp_witness");
		return 70;
	}
	begun = now_us();
	child = fork();
	if (child < 0) {
		perror("tcp_witness: fork");
		return 70;
	}
	if (child == 0) {
		timeline = NULL;
		close(pair[0]);
		converse(pair[1], 1);
		_exit(0);
	}
	close(pair[1]);
	converse(pair[0], 0);
	close(pair[0]);	/* after an error, let the other end see it */
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (timeline)
		fclose(timeline);
	return report(begun, status);
}
