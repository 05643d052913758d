// SPDX-License-Identifier: GPL-2.0
/*
 * Has the kernel encrypt a text (AF_ALG), by the implementation that is named as in /proc/crypto.
 *
 *	kernel_cipher DRIVER TEXT
 *
 * The cipher takes a key of 32 bytes and an initial vector of 16, as chacha20 does; the key is
 * 0123456789abcdef, twice, the vector all zero. Prints the result in hexadecimal.
 * Exit status: 0, 64 usage, 70 when the kernel says no.
 */
#include <errno.h>
#include <linux/if_alg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IV_SIZE 16

static int broken(const char *what)
{
	fprintf(stderr, "kernel_cipher: %s: %s\n", what, strerror(errno));
	return 70;
}

/* Sends the text with the operation and the vector beside it. */
static ssize_t send_text(int s, char *text, size_t size)
{
	char control[CMSG_SPACE(sizeof(__u32)) +
		     CMSG_SPACE(sizeof(struct af_alg_iv) + IV_SIZE)] = { 0 };
	struct iovec part = { .iov_base = text, .iov_len = size };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	__u32 operation = ALG_OP_ENCRYPT;
	__u32 iv_size = IV_SIZE;

	header->cmsg_level = SOL_ALG;
	header->cmsg_type = ALG_SET_OP;
	header->cmsg_len = CMSG_LEN(sizeof(operation));
	memcpy(CMSG_DATA(header), &operation, sizeof(operation));

	header = CMSG_NXTHDR(&message, header);
	header->cmsg_level = SOL_ALG;
	header->cmsg_type = ALG_SET_IV;
	header->cmsg_len = CMSG_LEN(sizeof(struct af_alg_iv) + IV_SIZE);
	memcpy(CMSG_DATA(header), &iv_size, sizeof(iv_size));
	return sendmsg(s, &message, 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_alg address = { .salg_family = AF_ALG, .salg_type = "skcipher" };
	static const char key[] = "0123456789abcdef0123456789abcdef";
	unsigned char result[4096];
	ssize_t size, i;
	int s, work;

	if (argc != 3 || strlen(argv[1]) >= sizeof(address.salg_name) ||
	    strlen(argv[2]) > sizeof(result)) {
		fprintf(stderr, "usage: kernel_cipher DRIVER TEXT\n");
		return 64;
	}
	strcpy((char *)address.salg_name, argv[1]);
	s = socket(AF_ALG, SOCK_SEQPACKET, 0);
	if (s < 0 || bind(s, (struct sockaddr *)&address, sizeof(address)))
		return broken(argv[1]);
	if (setsockopt(s, SOL_ALG, ALG_SET_KEY, key, sizeof(key) - 1))
		return broken("key");
	work = accept(s, NULL, NULL);
	if (work < 0)
		return broken("accept");
	size = strlen(argv[2]);
	if (send_text(work, argv[2], size) != size || read(work, result, size) != size)
		return broken("encrypt");
	for (i = 0; i < size; i++)
		printf("%02x", result[i]);
	putchar('\n');
	return 0;
}
