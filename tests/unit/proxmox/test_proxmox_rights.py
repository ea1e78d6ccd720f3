"""What a token of Proxmox VE may, what it lacks, and where its secret lies."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.exceptions import Exit

from lab.errors import InputError
from lab.providers.proxmox import api as proxmox_api
from lab.providers.proxmox import cli as proxmox_commands
from lab.providers.proxmox.api import secret
from lab.providers.proxmox.rights import Need, held, missing, needs, role_commands
from lab.providers.proxmox.section import Proxmox


def test_a_privilege_is_inherited_only_where_it_is_passed_on() -> None:
    granted = {"/": {"Sys.Audit": 1, "SDN.Use": 0}, "/storage/local": {"Datastore.Audit": 0}}
    assert held(granted, "/nodes/pve-1", "Sys.Audit")
    assert not held(granted, "/sdn/zones/localnetwork/vmbr0", "SDN.Use")
    assert held(granted, "/storage/local", "Datastore.Audit")
    assert not held(granted, "/storage/local", "Sys.Audit"), "the nearer path decides"


def test_c19_what_a_token_lacks_is_told_with_the_command_for_each_right() -> None:
    need = Need("PlumblineDisks", "/storage/x", ("Datastore.AllocateSpace", "Datastore.Audit"))
    nothing = missing([need], {}, "u@pve!t")
    assert [problem.wanted for problem in nothing] == ["Datastore.AllocateSpace", "Datastore.Audit"]
    assert nothing[0].fix == (
        "pveum acl modify /storage/x --users u@pve --tokens 'u@pve!t' --roles PlumblineDisks"
    )
    one = missing([need], {"/storage/x": {"Datastore.Audit": 1}}, "u@pve!t")
    assert [problem.wanted for problem in one] == ["Datastore.AllocateSpace"]
    assert one[0].fix.startswith("pveum role modify PlumblineDisks --privs")


def test_c19_the_rights_follow_the_version_and_the_token_comes_before_its_rights() -> None:
    from lab.inventory import load

    production = load("production")
    eight = needs(production, production.section(Proxmox), 8)
    nine = needs(production, production.section(Proxmox), 9)
    assert "VM.Monitor" in eight[0].privileges
    assert "VM.Monitor" not in nine[0].privileges
    assert "VM.GuestAgent.Audit" in nine[0].privileges
    commands = role_commands(eight, production.section(Proxmox).token)
    kinds = [" ".join(command.split()[1:3]) for command in commands]
    assert kinds == sorted(kinds, key=["role add", "user add", "user token", "acl modify"].index)


def test_the_secret_comes_from_the_environment_or_a_file_that_nobody_else_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.proxmox-secret"
    monkeypatch.setattr(proxmox_api, "secret_file", lambda _: file)
    monkeypatch.delenv("PLUMBLINE_PROXMOX_SECRET", raising=False)
    with pytest.raises(InputError, match="neither in PLUMBLINE_PROXMOX_SECRET nor in"):
        secret("site")
    file.write_text("a-secret\n")
    file.chmod(0o644)
    with pytest.raises(InputError, match="others can read this secret") as refused:
        secret("site")
    assert "a-secret" not in str(refused.value)
    file.chmod(0o600)
    assert secret("site") == "a-secret"
    monkeypatch.setenv("PLUMBLINE_PROXMOX_SECRET", "another")
    assert secret("site") == "another"


@pytest.mark.parametrize(("version", "code"), [(7, 2), (8, 0), (9, 0), (10, 2)])
def test_rights_are_printed_for_the_versions_that_are_known(
    version: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    got = 0
    try:
        proxmox_commands.role("production", version)
    except Exit as left:
        got = left.code
    told = capsys.readouterr()
    assert got == code
    assert ("pveum role add" in told.out) == (not code)
    if code:
        assert told.err == (
            f"error: --version {version}: must be 8 or 9\n  next: invoke proxmox.role --version 9\n"
        )
