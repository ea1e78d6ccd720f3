"""A stock machine in software emulation, reached by SSH on loopback."""

from __future__ import annotations

import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.doubles.ports import free_port
from tests.integration.stock.image import USER

BOOT_SECONDS = 1800
"""A boot took two minutes on a free machine; the rest is for one that is busy."""


@dataclass(frozen=True)
class Said:
    """How a command in the guest ended; both of its streams together."""

    code: int
    output: str


class Guest:
    """One QEMU without KVM: two processors, six GiB, a network that ends at one port of 127.0.0.1."""

    def __init__(self, folder: Path, kernel: tuple[Path, Path], disk: Path) -> None:
        self.folder = folder
        self.console = folder / "console.log"
        self._kernel, self._disk = kernel, disk
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Switch it on."""
        image, ramdisk = self._kernel
        argv = [
            *("nice", "-n", "5", "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max"),
            *("-smp", "2", "-m", "6144", "-display", "none", "-no-reboot", "-monitor", "none"),
            *("-kernel", str(image), "-initrd", str(ramdisk)),
            *("-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 systemd.show_status=1"),
            *("-serial", f"file:{self.console}"),
            *("-drive", f"file={self._disk},format=raw,if=virtio,cache=unsafe,discard=unmap"),
            # nothing gets out, and in only by this port
            *("-netdev", f"user,id=lan,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-10.0.2.15:22"),
            *("-device", "virtio-net-pci,netdev=lan", "-device", "virtio-rng-pci"),
        ]
        with (self.folder / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def booted(self) -> None:
        """Wait until it lets us in and systemd has come to the end of its start."""
        deadline = time.monotonic() + BOOT_SECONDS
        while (said := self.run("sudo systemctl is-system-running --wait", seconds=BOOT_SECONDS)).code == 255:
            assert self._process is not None and self._process.poll() is None, self._log()
            assert time.monotonic() < deadline, f"{said.output}\n{self._log()}"
            time.sleep(2)

    def run(self, command: str, *, seconds: float) -> Said:
        """Run a command as the user; code 255 when SSH does not get through."""
        try:
            done = subprocess.run(
                [*self._ssh(), shlex.join(["bash", "-c", command])],
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                errors="replace",
            )
        except subprocess.TimeoutExpired as late:
            said = b"".join(part for part in (late.stdout, late.stderr) if isinstance(part, bytes)).decode()
            return Said(124, f"{said}\nstill running after {seconds:.0f} s")
        return Said(done.returncode, done.stdout + done.stderr)

    def stop(self) -> None:
        """Pull the plug."""
        if self._process is not None:
            subprocess.run([*self._ssh(), "-O", "exit"], capture_output=True, check=False, timeout=30)
            self._process.kill()
            self._process.wait()

    @property
    def identity(self) -> Path:
        """The key that the guest lets in."""
        return self.folder / "id_ed25519"

    def _ssh(self) -> list[str]:
        options = (
            *("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"),
            *(
                "ConnectTimeout=120",
                "ControlMaster=auto",
                f"ControlPath={self.folder}/ssh",
                "ControlPersist=yes",
            ),
        )
        flags = [flag for option in options for flag in ("-o", option)]
        return ["ssh", *flags, "-i", str(self.identity), "-p", str(self._port), f"{USER}@127.0.0.1"]

    def _log(self) -> str:
        console = self.console.read_text(errors="replace") if self.console.exists() else ""
        return (self.folder / "qemu.log").read_text() + console[-3000:]
