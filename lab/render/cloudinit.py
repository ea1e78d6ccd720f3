"""A host's first boot: it does everything a node needs before kubeadm.

The same content in three wrappings: a NoCloud seed, files for the SD card of a Raspberry Pi, and vendor data
for a hypervisor that writes the rest itself.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.bundle import SYSCTL_FILE, Bundle, File
from lab.render.templates import render
from lab.ssh import Keys

COMMAND_LINE = "/boot/firmware/cmdline.txt"
"""Kernel command line of Ubuntu 24.04 on a Raspberry Pi; 25.10 and later keep it elsewhere."""
CONTROLLERS = "/sys/fs/cgroup/cgroup.controllers"


def first_boot(inventory: Inventory, traits: Traits, wanted: Bundle, keys: Keys) -> dict[str, str]:
    """The files of a host's first boot: vendor data alone where the hypervisor writes the rest."""
    if traits.writes_seed:
        return {"vendor-data": vendor_data(inventory, traits, wanted, keys)}
    return seed(inventory, traits, wanted, keys)


def seed(inventory: Inventory, traits: Traits, wanted: Bundle, keys: Keys) -> dict[str, str]:
    """user-data, meta-data and network-config of a host, by file name.

    The instance id is the digest of the other two: a change of the seed is a new first boot. The files are
    also what belongs onto the `system-boot` partition of a Raspberry Pi's card.
    """
    name = wanted.host
    user_data = render(
        "cloud-init/user-data",
        authorized_keys=[keys.own().public, *inventory.ssh.authorized_keys],
        **_machine(inventory, traits, wanted, keys),
    )
    network = render(
        "cloud-init/network-config",
        inventory=inventory,
        # a bought machine has a card that the inventory may not know, and one card only
        mac=inventory.mac(name) if inventory.makes(name) else inventory.hosts[name].mac,
        interface=str(inventory.interface(name)),
        management_mac=traits.management_mac,
        nameservers=[str(server) for server in inventory.nameservers],
        search_domains=list(inventory.network.search_domains),
    )
    instance = f"{name}-{sha256((user_data + network).encode()).hexdigest()[:16]}"
    return {
        "user-data": user_data,
        "meta-data": render("cloud-init/meta-data", name=name, instance_id=instance),
        "network-config": network,
    }


def vendor_data(inventory: Inventory, traits: Traits, wanted: Bundle, keys: Keys) -> str:
    """What a hypervisor's own user-data does not say: everything but name, login, keys and network.

    Proxmox VE's has `manage_etc_hosts: true`, which wins over ours and writes /etc/hosts at every boot from
    the distribution's template; so that template says what the roles say.
    """
    hosts = next(file for file in wanted.files if file.path == "/etc/hosts")
    distribution = inventory.hosts[wanted.host].os.partition("-")[0]
    template = File(
        f"/etc/cloud/templates/hosts.{distribution}.tmpl",
        f"## template:jinja\n{hosts.text}",
        hosts.owner,
        hosts.mode,
        (),
    )
    values = _machine(inventory, traits, wanted, keys)
    return render("cloud-init/vendor-data", **values | {"files": [*wanted.files, template]})


def _machine(inventory: Inventory, traits: Traits, wanted: Bundle, keys: Keys) -> dict[str, Any]:
    memory = "cgroup_enable=memory" in wanted.kernel_options
    return {
        "inventory": inventory,
        "name": wanted.host,
        "host_key": keys.host(wanted.host),
        "time_zone": wanted.time_zone,
        "install_packages": not traits.shares_kernel,
        # our own root filesystem already holds them, and a lab's network leads nowhere
        "packages": [] if traits.shares_kernel else list(wanted.packages),
        "files": wanted.files,
        "commands": first_boot_commands(wanted),
        # success is the controller at work, not the edited file
        "reboot_unless": f"! grep -qw memory {CONTROLLERS}" if memory else "",
    }


def first_boot_commands(wanted: Bundle) -> list[list[str]]:
    """What the first boot runs after its files are written: kernel settings, then units."""
    started = [unit.name for unit in wanted.units if unit.started_by == "boot"]
    # of the system's own: they have read what was there before our files
    following = (action.partition(" ") for file in wanted.files for action in file.on_change)
    readers = [name if "." in name else f"{name}.service" for verb, _, name in following if verb == "restart"]
    known = {unit.name for unit in wanted.units}
    readers = [name for name in dict.fromkeys(readers) if name not in known]
    enabled_only = [unit.name for unit in wanted.units if unit.started_by == "kubeadm"]
    commands = [["sh", "-ec", command_line_edit(option)] for option in wanted.kernel_options]
    if wanted.module_packages:
        install = f"apt-get install --yes {' '.join(wanted.module_packages)}"
        commands += [["sh", "-ec", f"modprobe --all {' '.join(wanted.modules)} || {install}"]]
    commands += [["modprobe", "--all", *wanted.modules]] if wanted.modules else []
    commands += [
        ["sysctl", "--quiet", "--load", SYSCTL_FILE],
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--quiet", *started, *enabled_only],
        # restart, not start: a package may have started its unit before our file was there
        ["systemctl", "restart", *readers, *started],
    ]
    return commands


def command_line_edit(option: str, path: str = COMMAND_LINE) -> str:
    """A shell line after which the kernel's command line is one line and holds `option` once, at its end.

    The firmware reads the first line alone, so options that stand on a second one never took effect; and it
    prepends options of its own, of which the last one counts. It is idempotent.
    """
    missing = f"{path}: missing; is this Ubuntu 24.04 for the Pi?"
    return (
        f"f={path}; test -f $f || {{ echo '{missing}' >&2; exit 1; }}; "
        f'new=; for word in $(cat $f); do test "$word" = {option} || new="$new$word "; done; '
        f'new="${{new}}{option}"; test "$new" = "$(cat $f)" || '
        '{ printf "%s\\n" "$new" > $f.new; mv $f.new $f; }'
    )
