// SPDX-License-Identifier: GPL-2.0
/*
 * Asks for source routing on a socket, as a given user.
 *
 *	source_route UID [lsrr]
 *
 * A packet with a strict (SSRR) or loose (LSRR) source route visits the routers that its sender names, and so
 * gets around the filters that trust the ordinary path. Kernels with CVE-2026-53249 let anybody set one; fixed
 * ones want CAP_NET_RAW and answer EPERM.
 *
 * Prints "ok", or the name of the error. Exit status: 0 the kernel took the option, 1 it did not, 64 usage,
 * 70 when something else went wrong, which says nothing about the kernel.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int broken(const char *what)
{
	fprintf(stderr, "source_route: %s: %s\n", what, strerror(errno));
	return 70;
}

int main(int argc, char **argv)
{
	/* RFC 791: type, length, pointer to the next address (the first is at 4), addresses. */
	unsigned char option[7] = { IPOPT_SSRR, sizeof(option), 4, 127, 0, 0, 1 };
	unsigned char kept[40];
	socklen_t kept_size = sizeof(kept);
	char *end;
	uid_t uid;
	int s;

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "lsrr"))) {
		fprintf(stderr, "usage: source_route UID [lsrr]\n");
		return 64;
	}
	uid = (uid_t)strtoul(argv[1], &end, 10);
	if (*end || end == argv[1]) {
		fprintf(stderr, "source_route: not a uid: %s\n", argv[1]);
		return 64;
	}
	if (argc == 3)
		option[0] = IPOPT_LSRR;
	if (getuid() != uid && (setgroups(0, NULL) || setgid(uid) || setuid(uid)))
		return broken("cannot become that user");

	s = socket(AF_INET, SOCK_DGRAM, 0);
	if (s < 0)
		return broken("socket");
	if (setsockopt(s, IPPROTO_IP, IP_OPTIONS, option, sizeof(option))) {
		puts(strerrorname_np(errno));
		return 1;
	}
	/* A call that returns 0 and keeps nothing would not be a success. */
	if (getsockopt(s, IPPROTO_IP, IP_OPTIONS, kept, &kept_size))
		return broken("getsockopt");
	if (kept_size < sizeof(option) || memcmp(kept, option, sizeof(option))) {
		fprintf(stderr, "source_route: the kernel took the option and kept %u other bytes\n", kept_size);
		return 70;
	}
	puts("ok");
	return 0;
}
