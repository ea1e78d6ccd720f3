"""The container's configuration and what runs before its init."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.providers.lxc.config import config_text, init_text, port_name

V1 = "3:cpu,cpuacct:/\n2:freezer:/\n1:name=systemd:/\n0::/\n"
V2 = "0::/\n"


def text(**changes: object) -> str:
    known: dict[str, object] = {
        "name": "m1",
        "folder": Path("/var/lib/plumbline/x/machines/m1"),
        "cgroup": "plumbline@x@m1",
        "mac": "02:50:4c:0a:01:0b",
        "layers": [Path("/store/payload"), Path("/store/debian")],
        "volumes": [(Path("/var/lib/plumbline/x/machines/m1/volumes/0"), "/var/lib/containerd")],
    }
    return config_text(**(known | changes))  # type: ignore[arg-type]


def test_layers_are_spelt_top_first_with_the_upper_last() -> None:
    wanted = "overlay:/store/payload:/store/debian:/var/lib/plumbline/x/machines/m1/upper"
    assert f"lxc.rootfs.path = {wanted}\n" in text()


def test_a_volume_is_bound_at_its_path_inside() -> None:
    source = "/var/lib/plumbline/x/machines/m1/volumes/0"
    assert f"lxc.mount.entry = {source} var/lib/containerd none bind,create=dir 0 0\n" in text()


def test_the_lists_that_the_included_file_fills_are_emptied_first() -> None:
    lines = text().splitlines()
    included = lines.index("lxc.include = /usr/share/lxc/config/common.conf")
    assert included < lines.index("lxc.cap.drop =")
    assert included < lines.index("lxc.mount.auto =") < lines.index("lxc.mount.auto = proc:mixed sys:mixed")


def test_settings_of_the_whole_kernel_are_covered_by_files_of_the_machine() -> None:
    source = "/var/lib/plumbline/x/machines/m1/sysctl/kernel/panic"
    assert f"lxc.mount.entry = {source} proc/sys/kernel/panic none bind 0 0\n" in text()


def test_the_port_fits_the_kernels_15_characters_and_tells_machines_apart() -> None:
    names = {port_name("02:50:4c:0a:01:0b"), port_name("02:50:4c:0a:01:0c")}
    assert len(names) == 2
    assert all(len(name) <= 15 for name in names)


def run_init(tmp_path: Path, cgroups: str) -> tuple[list[str], Path]:
    """Run the init with stand-ins for mount and systemd; gives back the mounts and the cgroup folder."""
    root, log = tmp_path / "cgroup", tmp_path / "log"
    root.mkdir()
    (tmp_path / "self").write_text(cgroups)
    mount = tmp_path / "mount"
    mount.write_text(f'#!/bin/sh\necho "$@" >>{log}\n')
    init = tmp_path / "init"
    init.write_text(f"#!/bin/sh\necho started >>{log}\n")
    for program in (mount, init):
        program.chmod(0o755)
    script = (
        init_text().replace("/sys/fs/cgroup", str(root)).replace("/proc/self/cgroup", str(tmp_path / "self"))
    )
    path = f"{tmp_path}:/usr/bin:/bin"
    subprocess.run(["sh", "-c", script.replace("/sbin/init", str(init))], env={"PATH": path}, check=True)
    return log.read_text().splitlines(), root


def test_init_mounts_each_hierarchy_of_version_1_before_systemd_starts(tmp_path: Path) -> None:
    log, root = run_init(tmp_path, V1)
    assert log == [
        f"-t tmpfs -o mode=755,nosuid,nodev,noexec cgroup {root}",
        f"-t cgroup -o cpu,cpuacct cgroup {root}/cpu,cpuacct",
        f"-t cgroup -o freezer cgroup {root}/freezer",
        f"-t cgroup -o none,name=systemd cgroup {root}/systemd",
        "--make-rshared /",
        "started",
    ]


def test_controllers_that_share_a_hierarchy_are_found_by_each_name(tmp_path: Path) -> None:
    _, root = run_init(tmp_path, V1)
    assert {name: (root / name).readlink() for name in ("cpu", "cpuacct")} == {
        "cpu": Path("cpu,cpuacct"),
        "cpuacct": Path("cpu,cpuacct"),
    }


def test_init_leaves_the_cgroups_of_version_2_to_systemd(tmp_path: Path) -> None:
    log, root = run_init(tmp_path, V2)
    assert log == ["--make-rshared /", "started"]
    assert not any(root.iterdir())
