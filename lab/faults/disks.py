"""Disk faults of a member of etcd: no room, the quota reached, a slow disk.

The first two restart the member with another manifest or another disk below it. The original manifest lies
beside the damage, so healing needs nothing but the host.
"""

from __future__ import annotations

from lab.cluster.etcd import etcdctl
from lab.faults.kinds import MASTERS, Kind
from lab.faults.on_host import OnHost, always

DATA = "/var/lib/etcd"
MANIFESTS = "/etc/kubernetes/manifests"
KEPT = "/var/lib/plumbline/etcd.yaml"
"""The manifest as it was: while it exists, there is something to undo."""
SMALL = "/run/plumbline-etcd"
"""A filesystem in memory, as large as what etcd has written, that takes the disk's place."""
WHOLE = f"{SMALL}/whole"
"""There when all data had been copied into it: a copy that broke off must never replace the data."""
SLOW_BYTES = 64 * 1024
"""Bytes a second that a slow disk writes."""


def _until(condition: str, seconds: int) -> str:
    # `set -e` alone would not end the script after a condition that begins with `!`
    return f"for i in $(seq {seconds}); do {condition} && break; sleep 1; done; {condition} || exit 1\n"


KEEP = f"set -e\nmkdir -p /var/lib/plumbline\ntest -e {KEPT} || cp -p {MANIFESTS}/etcd.yaml {KEPT}\n"
STOP = f"rm -f {MANIFESTS}/etcd.yaml\n" + _until(
    "! pgrep -x etcd >/dev/null && ! crictl pods -q --state ready --name '^etcd-' | grep -q .", 90
)
# by another name first: the kubelet passes over a leading dot, so it never reads half a manifest
PUT_BACK = f"cp -p {KEPT} {MANIFESTS}/.etcd && mv {MANIFESTS}/.etcd {MANIFESTS}/etcd.yaml\n"
# not `endpoint health`, which fails as long as an alarm is raised
ANSWERS = _until(f"{etcdctl('endpoint status')} >/dev/null 2>&1", 90)
UNLESS_DONE = f"test -e {KEPT} || exit 0\nset -e\n"


def _status(field: str) -> str:
    """The shell's way to one number of the member's status."""
    return f"$({etcdctl('endpoint status -w json')} | grep -o '\"{field}\":[0-9]*' | head -n1 | cut -d: -f2)"


QUOTA = (
    f'{KEEP}size={_status("dbSize")}\ntest "$size" -gt 0\n'
    f'sed "s/^\\( *\\)- etcd$/&\\n\\1- --quota-backend-bytes=$size/" {KEPT} >{MANIFESTS}/.etcd\n'
    f"grep -q quota-backend-bytes {MANIFESTS}/.etcd\n"
    f"{STOP}mv {MANIFESTS}/.etcd {MANIFESTS}/etcd.yaml\n{ANSWERS}"
)
# the maintenance of etcd's documentation: compact, defragment, disarm
QUOTA_UNDONE = (
    f"{UNLESS_DONE}{STOP}{PUT_BACK}{ANSWERS}revision={_status('revision')}\n"
    f"{etcdctl('compact $revision')} || true\n"
    f"{etcdctl('defrag --cluster --command-timeout=60s')}\n{etcdctl('alarm disarm')}\nrm -f {KEPT}"
)
# copied with its holes: what the log has set aside and not written yet is no room any more
FULL = (
    f"{KEEP}{STOP}mkdir -p {SMALL}\nsize=$(du -sk --apparent-size {DATA} | cut -f1)\n"
    f"mount -t tmpfs -o mode=700,size=$((size + 1024))k tmpfs {SMALL}\n"
    f"cp -a --sparse=always {DATA}/. {SMALL}/\ntouch {WHOLE}\nmount --bind {SMALL} {DATA}\n"
    f"used=$(($(df -k --output=used {SMALL} | tail -n1)))\n"
    f"mount -o remount,size=${{used}}k {SMALL}\n{PUT_BACK}"
)
# what the member wrote before the room ran out is its memory: it goes back to the disk
FULL_UNDONE = (
    f"{UNLESS_DONE}{STOP}if test -e {WHOLE}; then\n"
    f"if findmnt -n -t tmpfs {DATA} >/dev/null; then umount {DATA}; fi\n"
    f"rm -rf {DATA}/member.new\ncp -a {SMALL}/member {DATA}/member.new\n"
    f"rm -rf {DATA}/member\nmv {DATA}/member.new {DATA}/member\nfi\n"
    f"if mountpoint -q {SMALL}; then umount {SMALL}; fi\n"
    f"{PUT_BACK}{ANSWERS}rm -f {KEPT}"
)

# version 1 of cgroups has a file of its own for it, version 2 one for all limits of a device
THROTTLE = (
    "group=$(grep -E ':blkio:|^0::' /proc/$(pgrep -x etcd)/cgroup | head -n1)\n"
    "case $group in *:blkio:*) file=/sys/fs/cgroup/blkio${group##*:}/blkio.throttle.write_bps_device;;"
    " *) file=/sys/fs/cgroup${group##*:}/io.max;; esac\n"
    f"device=$(findmnt -n -o MAJ:MIN -T {DATA} | head -n1)\n"
)
SLOW = (
    f'set -e\n{THROTTLE}case $file in */io.max) echo "$device wbps={SLOW_BYTES}" >$file;; '
    f'*) echo "$device {SLOW_BYTES}" >$file;; esac'
)
FAST = (
    f"pgrep -x etcd >/dev/null || exit 0\n{THROTTLE}case $file in "
    '*/io.max) echo "$device wbps=max" >$file;; *) echo "$device 0" >$file;; esac'
)

KINDS: tuple[Kind, ...] = (
    OnHost(
        "etcd-quota",
        "etcd's data has reached this member's quota: the cluster refuses writes",
        MASTERS,
        180,
        begin=always(QUOTA),
        end=always(QUOTA_UNDONE),
    ),
    OnHost(
        "etcd-disk-full",
        "this member's data lies on a disk without a free byte",
        MASTERS,
        180,
        begin=always(FULL),
        end=always(FULL_UNDONE),
    ),
    OnHost(
        "etcd-disk-slow",
        f"this member's disk writes {SLOW_BYTES // 1024} KiB a second",
        MASTERS,
        60,
        begin=always(SLOW),
        end=always(FAST),
        needs=f"{THROTTLE}test -w $file",
        because="its cgroups do not throttle block devices",
    ),
)
