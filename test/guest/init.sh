#!/bin/sh
# First process of the guest: mounts what a booted system has, then becomes the agent.
# It runs under emulation, where starting a program costs milliseconds, so it does nothing else.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022

# The root of an initramfs can be written by everybody; a machine's cannot.
chmod 755 /
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
# /tmp and /run need no mount: the root is a tmpfs, and files that came with the initramfs stay visible.
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing

ip link set lo up
hostname guest

# PID 1 must not end: if it does, the kernel panics, QEMU exits, and the harness reports a lost guest.
exec /sbin/agent /dev/ttyS1 /sys/bus/pci/devices/0000:00:10.0
