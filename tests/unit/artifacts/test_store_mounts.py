"""Which mounts are inside a folder, by the text of mountinfo."""

from __future__ import annotations

from pathlib import Path

from lab.artifacts.mounts import inside, mount_points

TEXT = r"""22 1 254:0 / / rw - ext4 /dev/vda rw
40 22 0:21 / /c/trees/debian-amd64-1/proc rw - proc proc rw
41 40 0:22 / /c/trees/debian-amd64-1/proc/sys/fs/binfmt_misc rw - binfmt_misc none rw
42 22 8:1 / /c/go rw - ext4 /dev/sda1 rw
43 22 8:2 / /c/trees rw - ext4 /dev/sda2 rw
44 22 0:23 / /c/trees-of-mine/x rw - tmpfs tmpfs rw
45 22 0:24 / /c/trees/a\040b\134c/dev\011x rw - tmpfs tmpfs rw
"""


def test_what_is_mounted_inside_is_told_in_the_order_in_which_it_can_be_taken_away() -> None:
    assert inside(Path("/c/trees"), TEXT) == [
        Path("/c/trees/a b\\c/dev\tx"),
        Path("/c/trees/debian-amd64-1/proc/sys/fs/binfmt_misc"),
        Path("/c/trees/debian-amd64-1/proc"),
    ]
    assert inside(Path("/c/work"), TEXT) == []


def test_every_line_is_a_mount_point() -> None:
    assert mount_points(TEXT)[3] == Path("/c/go")
