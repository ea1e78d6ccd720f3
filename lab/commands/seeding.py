"""seed: the files of a Raspberry Pi's card."""

from __future__ import annotations

from pathlib import Path

from lab import seeding
from lab.commands.session import ROOT, read, shown
from lab.errors import InputError
from lab.labs import Lab, traits_of
from lab.render.bundle import bundle, pins
from lab.render.cloudinit import seed as first_boot


@shown
def seed(host: str, inventory: str, provider: str, to: str) -> None:
    """Write the card's first partition and say what to do with the card."""
    if not to:
        raise InputError(
            "--to: names no folder", next_step=f"invoke seed {host} --to /media/$USER/system-boot"
        )
    found = read(inventory, provider)
    lab = Lab.open(found, ROOT)
    machine = lab.host(host)
    wanted = bundle(found, traits_of(found)[host], pins(), host)
    folder = Path(to).expanduser()
    changed = seeding.write(
        found, wanted, first_boot(found, traits_of(found)[host], wanted, lab.keys), folder
    )
    print(f"{folder}: {', '.join(changed)} written" if changed else f"{folder}: nothing to change")
    print(
        f"next:\n"
        f"  unmount the card             sync && umount {folder}\n"
        f"  put it into {host}, connect the cable, switch it on\n"
        f"  it installs packages and reboots once; after some minutes it answers at {machine.address}\n"
        f"  look at it                   invoke preflight -i {inventory}\n"
        f"  make it a part of the lab    invoke build -i {inventory}"
    )
