"""Vendor data on the hypervisor's storage, over a real SSH server."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.errors import CommandError
from lab.providers.proxmox.section import Proxmox, Snippets
from lab.providers.proxmox.snippets import SnippetFolder
from tests.doubles.sshd import FOLDER, Sshd, sshd
from tests.integration.pve.site import Site, SiteMaker

NODES = ("pve-1", "pve-2", "pve-3")
TEXT = "#cloud-config\nruncmd:\n- 'echo \"$HOME\" `id` ü\\n'\n\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with sshd(tmp_path_factory.mktemp("sshd"), NODES) as running:
        yield running


@pytest.fixture
def hypervisor(server: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    monkeypatch.setenv("PATH", f"{server.client}:{os.environ['PATH']}")
    yield server
    assert list(server.snippets.iterdir()) == [], "every test takes its snippets away"


def folder_of(node: str, path: str = FOLDER) -> SnippetFolder:
    return SnippetFolder(Snippets(folder=f"root@{{node}}:{path}"), node)


def test_a_snippet_is_written_whole_and_for_root_alone(hypervisor: Sshd) -> None:
    folder, file = folder_of("pve-1"), hypervisor.snippets / "plumbline-x-a.yaml"
    folder.refuse_unusable()
    assert folder.write(file.name, TEXT)
    assert file.read_text() == TEXT
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.stat().st_mtime_ns
    assert not folder.write(file.name, TEXT), "what is right is left alone"
    assert file.stat().st_mtime_ns == before
    assert folder.write(file.name, TEXT + "# more\n")
    assert folder.names("plumbline-x-") == (file.name,)
    assert folder.names("plumbline-y-") == ()
    assert folder.remove(file.name)
    assert not folder.remove(file.name)


def test_what_a_cut_connection_left_goes_with_the_snippet(hypervisor: Sshd) -> None:
    part = hypervisor.snippets / "plumbline-x-a.yaml.part"
    part.write_text("#cloud-con")
    assert not folder_of("pve-1").remove("plumbline-x-a.yaml")
    assert not part.exists()


@pytest.mark.usefixtures("hypervisor")
def test_a_server_that_drops_early_callers_is_not_overrun() -> None:
    """Its default: from the tenth caller that has not logged in on, three of ten are dropped."""
    names = [f"plumbline-x-{number}.yaml" for number in range(16)]
    folder = folder_of("pve-1")
    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(lambda name: folder.write(name, TEXT), names))
        assert folder.names("plumbline-x-") == tuple(sorted(names))
        assert all(pool.map(folder.remove, names))


@pytest.mark.usefixtures("hypervisor")
@pytest.mark.parametrize(
    ("node", "path", "words"),
    [("pve-1", "/var/lib/vz/nowhere", "nowhere"), ("127.0.0.1", FOLDER, "Host key|refused|denied")],
    ids=["no such folder", "no way in"],
)
def test_a_folder_that_cannot_be_used_is_told_before_anything_is_made(
    site: SiteMaker, node: str, path: str, words: str
) -> None:
    with pytest.raises(CommandError, match=words) as refused:
        folder_of(node, path).refuse_unusable()
    assert f"ssh root@{node} must work without a password" in refused.value.next_step
    lab = over_ssh(site(workers=1, masters=1), f"root@{node}:{path}")
    problems = list(lab.provider.preflight(lab.machine(name) for name in lab.inventory.hosts))
    assert [problem.subject for problem in problems] == [f"proxmox.snippets.folder root@{node}:{path}"]
    assert lab.double.world.journal.writes() == []


def over_ssh(lab: Site, folder: str = f"root@{{node}}:{FOLDER}") -> Site:
    """The same lab, with its snippets behind SSH."""
    snippets = Snippets(storage="local", folder=folder)
    settings = lab.inventory.section(Proxmox).model_copy(update={"snippets": snippets})
    lab.inventory = lab.inventory.model_copy(update={"proxmox": settings})
    lab.again()
    return lab


def test_a_lab_boots_from_snippets_that_came_over_ssh(hypervisor: Sshd, site: SiteMaker) -> None:
    lab = over_ssh(site())
    for node in NODES:  # here, one server plays all nodes
        (lab.double.snippets / node).rmdir()
        (lab.double.snippets / node).symlink_to(hypervisor.snippets)
    machines = [lab.machine(name) for name in lab.inventory.hosts]
    assert list(lab.provider.preflight(machines)) == []
    lab.build()
    lab.assert_converged()
    for vm in lab.double.world.vms.values():
        if not vm.template:
            assert vm.seed["vendor-data"] == f"#cloud-config\n# {vm.name}\n"
    assert lab.provider.clean()
    assert not lab.provider.leftovers()
