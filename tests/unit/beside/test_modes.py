"""P1-11: rights of what others write, on surveys of good and of damaged machines."""

from __future__ import annotations

import pytest

from lab.checks.modes import are_declared, asked
from lab.checks.patterns import among, matches
from lab.render.bundle import Bundle
from tests.host_survey import states, surveyed


def place(mode: str, owner: str = "root:root", kind: str = "file") -> dict[str, str]:
    return {"kind": kind, "mode": mode, "owner": owner}


@pytest.mark.parametrize("role", ["master", "worker", "balancer", "full"])
def test_a_machine_as_its_writers_leave_it_is_good(role: str, request: pytest.FixtureRequest) -> None:
    wanted: Bundle = request.getfixturevalue(role)
    are_declared(wanted, surveyed(wanted))
    assert "/etc/systemd/system" in asked(wanted)


@pytest.mark.parametrize(
    ("path", "found", "says"),
    [
        ("/etc/kubernetes/admin.conf", place("0644"), "mode 0644, not 0600 at most"),
        ("/etc/kubernetes/kubelet.conf", place("0640"), "mode 0640, not 0600"),
        ("/etc/kubernetes/pki/etcd/ca.key", place("0604"), "mode 0604, not 0600"),
        ("/var/lib/etcd", place("0755", kind="folder"), "mode 0755, not 0700"),
        ("/etc/kubernetes/manifests", place("0777", kind="folder"), "mode 0777, not 0700"),
        ("/run/containerd/containerd.sock", place("0666", kind="socket"), "mode 0666, not 0660"),
        ("/etc/kubernetes/pki", place("0755", "nobody:root", "folder"), "owner nobody:root, not root:root"),
        ("/usr/local/bin", place("0777", kind="folder"), "only root may write"),
        ("/etc", place("0755", "nobody:root", "folder"), "only root may write"),
        ("/etc/cni/net.d/10-flannel.conflist", place("0666"), "mode 0666, not 0644"),
    ],
)
def test_rights_beyond_what_is_declared_are_named(
    master: Bundle, path: str, found: dict[str, str], says: str
) -> None:
    with pytest.raises(AssertionError, match=rf"rights beyond.*{path}: .*{says}"):
        are_declared(master, surveyed(master, states=states(master) | {path: found}))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/etc/kubernetes/pki/ca.crt", place("0600")),
        ("/etc/kubernetes/pki/apiserver.crt", place("0400")),
        ("/var/lib/kubelet", place("0700", kind="folder")),
        ("/usr/local/bin", place("02775", "root:staff", "folder")),
        ("/var/lib/kubelet/pki/kubelet-client-current.pem", place("0777", kind="link")),
        ("/etc/systemd/system/systemd-sysctl.service", place("0666", kind="special")),
        ("/etc/kubernetes/somebodys.txt", place("0666", "nobody:nogroup")),
    ],
    ids=[
        "stricter",
        "stricter still",
        "a volume",
        "Debian's policy",
        "a link",
        "a masked unit",
        "nobody declares it",
    ],
)
def test_fewer_rights_and_others_files_are_left_alone(
    master: Bundle, path: str, found: dict[str, str]
) -> None:
    are_declared(master, surveyed(master, states=states(master) | {path: found}))


def test_what_is_rendered_is_compared_elsewhere(worker: Bundle) -> None:
    odd = {"/etc/ssh/sshd_config.d/10-plumbline.conf": place("0666")}
    are_declared(worker, surveyed(worker, states=states(worker) | odd))


def test_many_findings_fit_on_a_screen(master: Bundle) -> None:
    wrong = {f"/etc/kubernetes/pki/{number}.key": place("0644") for number in range(40)}
    with pytest.raises(AssertionError) as caught:
        are_declared(master, surveyed(master, states=wrong))
    assert len(str(caught.value).splitlines()) <= 15


def test_patterns_mean_paths_as_a_shell_does() -> None:
    assert matches("/a/b.conf", "/a/*.conf")
    assert not matches("/a/b/c.conf", "/a/*.conf")
    assert matches("/a/b/c.conf", "/a/**/*.conf")
    assert matches("/a/c.conf", "/a/**/*.conf")
    assert among("/x/.hidden", ["/y/*", "/x/*"])
    assert not matches("/a/bxconf", "/a/*.conf")
