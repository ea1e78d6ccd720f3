"""A port of this machine's loopback that leads to one behind a machine of a lab, until Ctrl-C.

SSH goes to the machine from within the lab's network and listens at a unix socket, which belongs to no
network; a relay in this machine's network takes what comes to the port there. Nothing of it outlives this
process: what ssh runs on the machine reads from a pipe of ours, so it ends with us, however we end.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.errors import DeadlineError, FailedError, InputError
from lab.labs import Lab
from lab.ssh import Ssh
from lab.waits import patient

LOOPBACK = "127.0.0.1"
SECONDS = 20.0
"""For ssh to log in, and for the page's first answer."""
READY = "echo forwarding; exec cat"
"""What ssh runs: it forwards before it says so, and ends when nobody holds its input any more."""
PIECE = 64 * 1024
POLL = 0.5
"""Seconds between two looks whether ssh is still there."""


@dataclass(frozen=True)
class Tunnel:
    """An ssh at work: what comes to the unix socket `path` reaches a port behind the machine `host`."""

    host: str
    path: Path
    process: subprocess.Popen[bytes]

    @property
    def said(self) -> IO[bytes]:
        """What it prints."""
        if self.process.stdout is None:
            raise LookupError("ssh was started without a pipe for its output")
        return self.process.stdout

    def ended(self) -> FailedError:
        """That ssh has ended, in its own words."""
        _, stderr = self.process.communicate()
        said = stderr.decode(errors="replace").strip()
        return FailedError(
            f"{self.host}: the forwarding has ended: {said or 'ssh said nothing'}", next_step="invoke status"
        )


def tunnel_argv(ssh: Ssh, host: str, path: Path, target: str) -> list[str]:
    """The ssh of a tunnel; over a connection of its own, so that none is left open for others."""
    own = ("-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "BatchMode=yes")
    return [
        "ssh", "-F", str(ssh.config), "-T", *own, "-o", "ExitOnForwardFailure=yes",
        "-L", f"{path}:{target}", host, READY,
    ]  # fmt: skip


@contextmanager
def tunnel(lab: Lab, host: str, target: str) -> Iterator[Tunnel]:
    """Forward to `target` (ADDRESS:PORT) as a machine reaches it, while the block runs in whatever network.

    Raises `FailedError` when ssh ends or the lab has no network, `DeadlineError` when nobody lets it in.
    """
    with tempfile.TemporaryDirectory(prefix="plumbline-open-") as folder:
        path = Path(folder) / "page"
        with lab.inside():
            process = subprocess.Popen(
                tunnel_argv(lab.ssh, host, path, target),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C of the terminal is ours to answer
            )
        made = Tunnel(host, path, process)
        with process:
            try:
                _await_login(made)
                yield made
            finally:
                process.terminate()


def _await_login(made: Tunnel) -> None:
    seconds, reading = patient(SECONDS), made.said.fileno()
    if not select.select([reading], [], [], seconds)[0]:
        raise DeadlineError(f"{made.host}: SSH", seconds, "no login", next_step="invoke status")
    if not os.read(reading, PIECE):
        raise made.ended()


def listener(port: int) -> socket.socket:
    """A port of this machine's loopback; 0: one that is free. Raises `InputError` for one that cannot be."""
    if not 0 <= port <= 65535:
        raise InputError(
            f"--port {port}: must be a port, 1 to 65535; 0, or nothing, takes one that is free",
            next_step="invoke --help open",
        )
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((LOOPBACK, port))
    except OSError as error:
        made.close()
        why = "is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise InputError(
            f"--port {port}: {why} on {LOOPBACK}", next_step="another --port; without it, one that is free"
        ) from error
    return made


async def answers(made: Tunnel, path: str) -> None:
    """Ask the page once. Raises `FailedError` when nothing answers by HTTP."""
    seconds = patient(SECONDS)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(made.path)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}\r\n\r\n".encode())
                await writer.drain()
                said = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        said = f"{type(error).__name__} after {seconds:g} s".encode()
    if not said.startswith(b"HTTP/"):
        seen = said.decode(errors="replace").strip() or "the connection was closed"
        raise FailedError(
            f"{made.host}: behind it nothing answers by HTTP: {seen}", next_step="invoke status"
        )


async def relay(made: Tunnel, taken: socket.socket, ready: Callable[[], None]) -> None:
    """Lead every connection of the port into the tunnel until Ctrl-C or a termination, which are its orderly
    end; `ready` is called once the port takes connections.

    Raises `FailedError` when ssh ends.
    """
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, to_them = await asyncio.open_unix_connection(made.path)
        except OSError:
            writer.close()
            return
        try:
            # with the port's end its connections are cancelled, which asyncio would tell as an error
            with suppress(asyncio.CancelledError):
                await asyncio.gather(_pour(reader, to_them), _pour(theirs, writer))
        finally:
            to_them.close()
            writer.close()

    server = await asyncio.start_server(lead, sock=taken)
    try:
        ready()
        while not asked.is_set():
            if made.process.poll() is not None:
                raise made.ended()
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), POLL)
    finally:
        # not awaited: a browser keeps its connections for minutes
        server.close()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All that one side sends to the other, and its end; an end that is not orderly ends both ways."""
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        with suppress(OSError):
            writer.transport.abort()
