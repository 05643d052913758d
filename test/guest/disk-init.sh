#!/bin/sh
# First process of a guest with a disk: loads what the disk needs, and goes on there, with the system that is installed on it.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
	# Not each kernel has each of them.
	[ ! -e "/disk/$module.ko" ] || insmod "/disk/$module.ko"
done
tries=0
until [ -b /dev/vda ]; do
	tries=$((tries + 1))
	[ "$tries" -lt 100 ] || echo "no disk"
	sleep 0.1
done
# As an initramfs does it: what a machine had in memory when it hibernated is read before anything is mounted.
case " $(cat /proc/cmdline) " in
*' resume='*) cat /sys/block/vda/dev >/sys/power/resume ;;
esac
mkdir -p /disk/root
mount -t ext4 /dev/vda /disk/root
umount /proc /sys
mount --move /dev /disk/root/dev
exec switch_root /disk/root /sbin/init
