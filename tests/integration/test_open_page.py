"""`invoke open` with a real SSH server and a real web server in a network of their own, as a lab's are."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab.local import enter_network, own_network
from lab.waits import NotYet, wait_for
from tests.doubles.ports import free_port
from tests.doubles.sshd import Sshd, sshd
from tests.integration.conftest import await_end, family
from tests.soon import SOON

ROOT = Path(__file__).parents[2]
PAGE = b"what the lab's page says\n" * 100_000


@dataclass(frozen=True)
class Elsewhere:
    """A network namespace in which a machine's sshd answers, and a page at port 9090 of its loopback."""

    namespace: Path
    config: Path
    server: Sshd


@pytest.fixture(scope="module")
def namespace() -> Iterator[Path]:
    """A network namespace that lives as long as a process in it."""
    holds = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo in && read _"]
    with subprocess.Popen(holds, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"in\n"
        yield Path(f"/proc/{holder.pid}/ns/net")
        assert holder.stdin is not None
        holder.stdin.close()


@pytest.fixture(scope="module")
def pages(namespace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A web server in there."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "index.html").write_bytes(PAGE)
    with own_network():
        enter_network(namespace)
        serving = [sys.executable, "-m", "http.server", "9090", "--bind", "127.0.0.1"]
        process = subprocess.Popen(serving, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("the page", lambda: connected(9090), seconds=SOON)
    yield
    process.terminate()
    process.wait()


@pytest.fixture
def elsewhere(namespace: Path, pages: None, tmp_path: Path) -> Iterator[Elsewhere]:  # noqa: ARG001
    folder = tmp_path / "machine"
    folder.mkdir()
    with own_network():
        enter_network(namespace)
        running = sshd(folder, ("worker-1",))
        server = running.__enter__()
    try:
        yield Elsewhere(namespace, folder / "config", server)
    finally:
        running.__exit__(None, None, None)


def connected(port: int) -> None:
    """Raises `NotYet` unless somebody listens on the loopback of this thread's network."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError as error:
        raise NotYet(str(error)) from error


@contextmanager
def opened(
    there: Elsewhere, folder: Path, port: int = 0, name: str = "prometheus"
) -> Iterator[subprocess.Popen[str]]:
    """The command at work; what it makes lies in `folder`."""
    folder.mkdir()
    argv = [
        sys.executable,
        "-m",
        "tests.integration.open_here",
        str(there.namespace),
        str(there.config),
        name,
    ]
    with subprocess.Popen(
        [*argv, str(port)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def address(process: subprocess.Popen[str]) -> int:
    """The port of the URL that it prints once it leads there."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    url = urlsplit(line.strip())
    assert (url.scheme, url.hostname, url.path) == ("http", "127.0.0.1", "/")
    assert url.port
    return url.port


def body(port: int) -> bytes:
    """What this machine's network gets there, over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SOON)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_many_read_the_page_from_this_machine(elsewhere: Elsewhere, tmp_path: Path) -> None:
    with opened(elsewhere, tmp_path / "tmp") as process:
        port = address(process)
        with ThreadPoolExecutor(8) as pool:
            assert [*pool.map(body, [port] * 24)] == [PAGE] * 24
        listening = subprocess.run(
            ["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True
        )
        assert f"127.0.0.1:{port}" in listening.stdout
        assert len(listening.stdout.splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_0_and_leaves_nothing_though_a_browser_holds_on(
    elsewhere: Elsewhere, tmp_path: Path, number: signal.Signals
) -> None:
    folder, port = tmp_path / "tmp", free_port()
    with opened(elsewhere, folder, port) as process:
        assert address(process) == port
        assert [path.name for path in folder.glob("*/*")] == ["page"]
        begun = family(process)  # type: ignore[arg-type]
        assert len(begun) > 1, "ssh is at work"
        with socket.create_connection(("127.0.0.1", port)) as held:
            held.sendall(b"GET / HTTP/1.1\r\n")
            process.send_signal(number)
            said = process.communicate(timeout=SOON)[1]
    assert process.returncode == 0, said
    assert "leads to http://prometheus.monitoring.svc:9090, in the cluster alone, through worker-1" in said
    assert "Traceback" not in said
    await_end(begun)
    assert list(folder.iterdir()) == []
    with pytest.raises(NotYet, match="refused"):
        connected(port)


def test_killed_it_leaves_no_process(elsewhere: Elsewhere, tmp_path: Path) -> None:
    with opened(elsewhere, tmp_path / "tmp") as process:
        address(process)
        begun = family(process)  # type: ignore[arg-type]
        process.kill()
        process.wait()
        await_end(begun)


def test_a_machine_that_goes_ends_it_with_a_message(elsewhere: Elsewhere, tmp_path: Path) -> None:
    with opened(elsewhere, tmp_path / "tmp") as process:
        address(process)
        for pid in family(elsewhere.server.process)[1:]:  # the session, not the server alone
            os.kill(pid, signal.SIGKILL)
        said = process.communicate(timeout=SOON)[1]
    assert process.returncode == 1
    assert "error: worker-1: the forwarding has ended: " in said
    assert "next: invoke status" in said


def test_a_page_that_nobody_serves_is_told_before_its_address(elsewhere: Elsewhere, tmp_path: Path) -> None:
    with opened(elsewhere, tmp_path / "tmp", name="alertmanager") as process:
        out, said = process.communicate(timeout=SOON)
    assert (process.returncode, out) == (1, "")
    assert "error: worker-1: behind it nothing answers by HTTP: " in said


def test_a_machine_that_lets_nobody_in_is_told(elsewhere: Elsewhere, tmp_path: Path) -> None:
    elsewhere.config.write_text(elsewhere.config.read_text().replace("machine/user", "machine/host"))
    with opened(elsewhere, tmp_path / "tmp") as process:
        out, said = process.communicate(timeout=SOON)
    assert (process.returncode, out) == (1, "")
    assert "Permission denied" in said


def test_a_port_that_is_taken_is_refused(elsewhere: Elsewhere, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with opened(elsewhere, tmp_path / "tmp", port) as process:
            out, said = process.communicate(timeout=SOON)
    assert (process.returncode, out) == (2, ""), said
    assert f"error: --port {port}: is taken on 127.0.0.1" in said
