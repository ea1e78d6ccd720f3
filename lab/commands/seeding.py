"""seed: the files of a Raspberry Pi's card."""

from __future__ import annotations

from pathlib import Path

from lab.commands.session import read, shown
from lab.errors import InputError
from lab.hosts import seeding
from lab.machines import Traits
from lab.render.bundle import bundle, pins
from lab.render.cloudinit import seed as first_boot
from lab.ssh import Keys


@shown
def seed(host: str, inventory: str, provider: str, to: str) -> None:
    """Write the card's first partition and say what to do with the card."""
    if not to:
        raise InputError(
            "--to: names no folder", next_step=f"invoke seed {host} --to /media/$USER/system-boot"
        )
    found = read(inventory, provider)
    seeding.check_host(found, host)
    wanted = bundle(found, Traits(), pins(found), host)
    folder = Path(to).expanduser()
    changed = seeding.write(wanted, first_boot(found, Traits(), wanted, Keys(found.lab)), folder)
    print(f"{folder}: {', '.join(changed)} written" if changed else f"{folder}: nothing to change")
    print(
        f"next:\n"
        f"  unmount the card             sync && umount {folder}\n"
        f"  put it into {host}, connect its cable, switch it on; it installs packages and reboots once,\n"
        f"  and after some minutes it answers at {found.hosts[host].address}\n"
        f"  look at it                   invoke preflight -i {inventory}\n"
        f"  make it a part of the lab    invoke build -i {inventory}"
    )
