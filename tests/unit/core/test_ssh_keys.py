"""SSH: keys, the client's configuration, and where its control sockets lie."""

from __future__ import annotations

import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab.errors import FailedError
from lab.labs import Lab
from lab.locks import exclusive
from lab.ssh import Keys, Ssh, control_folder, key_pair
from tests.fakes import FakeProvider
from tests.world import INVENTORY, inventory

HOSTS = {"haproxy": IPv4Address("10.1.1.50"), "master-1": IPv4Address("10.1.1.11")}
UNIX_PATH_MAX = 108
"""Bytes of a unix socket's path, its closing zero included (unix(7))."""
SSH_SUFFIX = 17
"""ssh connects to PATH.XXXXXXXXXXXXXXXX first."""


MOVED = inventory(INVENTORY.replace("10.1.1.50", "10.1.1.59"))
"""The same lab by another file, whose balancer has another address."""


def test_a_key_is_made_once_and_read_ever_after(tmp_path: Path) -> None:
    first = key_pair(tmp_path / "new" / "id", "me@lab")
    assert first == key_pair(tmp_path / "new" / "id", "me@lab")
    assert first.public.startswith("ssh-ed25519 ")
    assert first.public.endswith(" me@lab")
    assert stat.S_IMODE((tmp_path / "new" / "id").stat().st_mode) == 0o600
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["id"]


def test_threads_that_ask_for_a_new_key_at_the_same_time_get_the_same_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: key_pair(tmp_path / "id", "x"), range(16)))
    assert len(found) == 1


def test_a_key_is_one_that_ssh_takes(tmp_path: Path) -> None:
    made = key_pair(tmp_path / "id", "x")
    told = subprocess.run(
        ["ssh-keygen", "-y", "-f", tmp_path / "id"], capture_output=True, text=True, check=True
    )
    assert told.stdout.split()[:2] == made.public.split()[:2]


@pytest.mark.parametrize(
    "text", ["", "no key\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END-----\n"]
)
def test_a_file_that_holds_no_key_is_refused_by_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "id").write_text(text)
    with pytest.raises(FailedError, match="id: is not an ed25519 key"):
        key_pair(tmp_path / "id", "x")


def test_keys_of_hosts_and_labs_differ(keys: Keys) -> None:
    assert keys.host("a").public != keys.host("b").public
    assert keys.own().public != Keys("other").own().public
    assert keys.own().public == Keys("test").own().public


def test_the_configuration_takes_no_key_on_trust_and_no_password(
    keys: Keys, sockets: Path, tmp_path: Path
) -> None:
    made = Ssh.write(tmp_path / "ssh", "ops", keys, HOSTS).config
    config = made.read_text()
    for line in (
        "Host master-1\n    HostName 10.1.1.11\n",
        "    User ops\n",
        "    StrictHostKeyChecking yes\n",
        "    GlobalKnownHostsFile /dev/null\n",
        "    PreferredAuthentications publickey\n",
        "    IdentitiesOnly yes\n",
        "    ConnectTimeout 3\n",
        f"    ControlPath {sockets}/%C\n",
    ):
        assert line in config
    known = (made.parent / "known_hosts").read_text().splitlines()
    assert [line.split()[0] for line in known] == ["10.1.1.50", "10.1.1.11"]
    assert known[1].split()[1:3] == keys.host("master-1").public.split()[:2]


@pytest.mark.parametrize("checkout", ["plain", "with a space", "100%done", "a#b", "%h %%C"])
def test_the_configuration_is_one_that_ssh_takes_wherever_the_checkout_lies(
    sockets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: str
) -> None:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / checkout / "data"))
    keys = Keys("test")
    config = Ssh.write(tmp_path / checkout / "ssh", "ops", keys, HOSTS).config
    told = subprocess.run(
        ["ssh", "-F", config, "-G", "master-1"], capture_output=True, text=True, check=True
    ).stdout
    settings = dict(line.split(" ", 1) for line in told.splitlines())
    assert settings["hostname"] == "10.1.1.11"
    assert settings["user"] == "ops"
    # -G shows this one before its tokens are expanded, and the other one after
    assert settings["identityfile"].replace("%%", "%") == str(keys.identity)
    assert settings["userknownhostsfile"].strip('"') == str(config.parent / "known_hosts")
    assert config.is_relative_to(tmp_path / checkout / "ssh")
    assert settings["preferredauthentications"] == "publickey"
    assert settings["controlpath"].startswith(str(sockets))
    assert settings["stricthostkeychecking"] in ("true", "yes")


def test_writing_the_configuration_again_changes_nothing(keys: Keys, sockets: Path, tmp_path: Path) -> None:
    assert not sockets.exists()
    first = Ssh.write(tmp_path / "ssh", "ops", keys, HOSTS).config.read_text()
    assert Ssh.write(tmp_path / "ssh", "ops", keys, HOSTS).config.read_text() == first
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700


def of_people(folder: Path) -> str:
    """What people reach the lab by: both files."""
    return (folder / "ssh_config").read_text() + (folder / "known_hosts").read_text()


@pytest.mark.usefixtures("sockets")
def test_a_read_only_command_of_another_file_changes_nothing_that_others_read(
    keys: Keys, tmp_path: Path
) -> None:
    """`status` of a second inventory of the same lab, while a build of the first one runs."""
    folder, others = tmp_path / "ssh", {"haproxy": IPv4Address("10.9.9.50")}
    first = Ssh.write(folder, "ops", keys, HOSTS, holds=True)
    before = {path: path.read_text() for path in folder.rglob("*") if path.is_file()}
    second = Ssh.write(folder, "ops", keys, others)
    assert {path: path.read_text() for path in before} == before
    assert "10.9.9.50" in second.config.read_text()
    assert second.config != first.config
    assert "10.9.9.50" in (second.config.parent / "known_hosts").read_text()


@pytest.mark.usefixtures("sockets")
def test_people_reach_the_lab_by_the_inventory_of_who_held_it_last(keys: Keys, tmp_path: Path) -> None:
    folder = tmp_path / "ssh"
    Ssh.write(folder, "ops", keys, HOSTS)
    assert "10.1.1.11" in of_people(folder), "who comes first writes it"
    Ssh.write(folder, "ops", keys, {"haproxy": IPv4Address("10.9.9.50")}, holds=True)
    assert "10.9.9.50" in of_people(folder)
    assert "10.1.1.11" not in of_people(folder)
    Ssh.write(folder, "ops", keys, HOSTS)
    assert "10.1.1.11" not in of_people(folder)
    told = subprocess.run(
        ["ssh", "-F", folder / "ssh_config", "-G", "haproxy"], capture_output=True, text=True, check=True
    ).stdout
    assert f'userknownhostsfile "{folder}/known_hosts"'.replace('"', "") in told.replace('"', "")


@pytest.mark.usefixtures("sockets")
def test_whoever_writes_at_the_same_time_leaves_whole_files(keys: Keys, tmp_path: Path) -> None:
    folder = tmp_path / "ssh"
    assert all(keys.host(name).public for name in HOSTS), "made before, for the test is about the files"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Ssh.write(folder, "ops", keys, HOSTS, holds=True), range(32)))
    assert len({ssh.config for ssh in made}) == 1
    assert of_people(folder).count("StrictHostKeyChecking yes") == 1
    assert list(folder.rglob("*.part")) == []


@pytest.mark.usefixtures("sockets", "keys")
def test_a_lab_is_reached_as_its_holder_says(tmp_path: Path) -> None:
    """The frame around commands that change a lab says so before the first of them is sent."""
    found = inventory()
    lab, other = (Lab(item, tmp_path, FakeProvider()) for item in (found, MOVED))
    assert lab.keys.folder == other.keys.folder
    standing = tmp_path / ".lab" / found.lab / "ssh"
    assert "10.1.1.50" in lab.ssh.config.read_text()
    assert "10.1.1.59" not in of_people(standing)
    with exclusive(other, "invoke build"):
        assert "10.1.1.59" in other.ssh.config.read_text()
        assert other.with_layers(()).ssh.config == other.ssh.config
    assert "10.1.1.59" in of_people(standing)


def test_c38_a_control_socket_fits_however_deep_the_checkout_and_long_the_name() -> None:
    """C38: %C is 40 hexadecimal digits whatever host, port and user are."""
    folder = control_folder(Path("/" + "d" * 120) / ("lab" * 20))
    longest = len(str(folder)) + len("/") + 40 + SSH_SUFFIX
    assert longest < UNIX_PATH_MAX
    assert len(str(folder)) == len(str(control_folder(Path("/x"))))


def test_c38_two_labs_never_share_a_control_socket() -> None:
    folders = {control_folder(Path(f"/home/{user}/plumbline/{lab}")) for user in "ab" for lab in "xy"}
    assert len(folders) == 4
    assert control_folder(Path("/a")) == control_folder(Path("/a"))


@pytest.mark.usefixtures("sockets")
def test_a_configuration_that_no_command_asked_for_in_a_week_is_removed(keys: Keys, tmp_path: Path) -> None:
    folder = tmp_path / "ssh"
    first = Ssh.write(folder, "ops", keys, HOSTS).config.parent
    second = Ssh.write(folder, "ops", keys, {"haproxy": IPv4Address("10.9.9.50")}).config.parent
    for one in (first, second):
        os.utime(one, (0, 0))
    Ssh.write(folder, "ops", keys, HOSTS)
    assert first.is_dir(), "asked for just now"
    assert not second.exists()
    assert "10.1.1.11" in of_people(folder)
