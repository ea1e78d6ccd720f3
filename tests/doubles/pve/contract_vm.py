"""Options of a virtual machine that the double knows, as parameters of create, change and clone."""

from __future__ import annotations

from tests.doubles.pve.parameters import Parameter, boolean, integer, text

NET_MODELS = ("virtio", "e1000", "e1000e", "rtl8139", "vmxnet3")
NET_KEYS = (
    "model",
    *NET_MODELS,
    "bridge",
    "firewall",
    "link_down",
    "macaddr",
    "mtu",
    "queues",
    "rate",
    "tag",
)
DISK_KEYS = (
    *("file", "aio", "backup", "cache", "discard", "format", "import-from"),
    *("media", "replicate", "serial", "size", "ssd"),
)
DISKS = tuple(
    f"{bus}{number}" for bus, count in (("ide", 4), ("scsi", 31), ("virtio", 16)) for number in range(count)
)

OPTIONS: dict[str, Parameter] = {
    "acpi": boolean(),
    "agent": text(keys=("enabled", "freeze-fs-on-backup", "fstrim_cloned_disks", "type")),
    "args": text(),
    "balloon": integer(least=0),
    "bios": text(choices=("seabios", "ovmf")),
    "boot": text("pve-qm-boot"),
    "cicustom": text("pve-qm-cicustom"),
    "cipassword": text(),
    "citype": text(choices=("configdrive2", "nocloud", "opennebula")),
    "ciupgrade": boolean(),
    "ciuser": text(),
    "cores": integer(least=1),
    "cpu": text("pve-vm-cpu-conf"),
    "cpuunits": integer(least=1, most=262144),
    "description": text(longest=8192),
    "hookscript": text("pve-volume-id"),
    "hotplug": text("pve-hotplug-features"),
    "ide[n]": text(keys=DISK_KEYS),
    "ipconfig[n]": text("pve-qm-ipconfig"),
    "machine": text(keys=("type", "viommu")),
    "memory": text(keys=("current",)),
    "name": text("dns-name"),
    "nameserver": text("address-list"),
    "net[n]": text(keys=NET_KEYS),
    "numa": boolean(),
    "onboot": boolean(),
    "ostype": text(choices=("other", "l24", "l26", "solaris")),
    "protection": boolean(),
    "scsi[n]": text(keys=(*DISK_KEYS, "iothread")),
    "scsihw": text(
        choices=("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi")
    ),
    "searchdomain": text(),
    "serial[n]": text(pattern="(/dev/.+|socket)"),
    "smbios1": text("pve-qm-smbios1", longest=512),
    "sockets": integer(least=1),
    "sshkeys": text("urlencoded"),
    "startup": text("pve-startup-order"),
    "tablet": boolean(),
    "tags": text("pve-tag-list"),
    "unused[n]": text(keys=("file",)),
    "vga": text(keys=("type", "memory", "clipboard")),
    "virtio[n]": text(keys=tuple(key for key in (*DISK_KEYS, "iothread") if key != "ssd")),
}
IMPORT = {"import-working-storage": text("pve-storage-id")}
CREATE = (
    OPTIONS
    | IMPORT
    | {
        "pool": text("pve-poolid"),
        "start": boolean(),
        "storage": text("pve-storage-id"),
        "template": boolean(),
    }
)
CHANGE = OPTIONS | {
    "delete": text("pve-configid-list"),
    "digest": text(longest=40),
    "force": boolean(requires="delete"),
    "revert": text("pve-configid-list"),
    "skiplock": boolean(),
}
CLONE = {
    "bwlimit": integer(least=0),
    "description": text(),
    "format": text(choices=("raw", "qcow2", "vmdk")),
    "full": boolean(),
    "name": text("dns-name"),
    "newid": integer("pve-vmid", 100, 999999999, needed=True),
    "pool": text("pve-poolid"),
    "storage": text("pve-storage-id"),
    "target": text("pve-node"),
}
RESIZE = {
    "digest": text(longest=40),
    "disk": text(choices=DISKS, needed=True),
    "size": text(pattern=r"\+?\d+(\.\d+)?[KMGT]?", needed=True),
}

CLOUD_INIT = (
    "cicustom",
    "cipassword",
    "citype",
    "ciupgrade",
    "ciuser",
    "nameserver",
    "searchdomain",
    "sshkeys",
)
"""Options that end in the cloud-init drive; ipconfigN is one more."""
PRIVILEGES: dict[str, str] = {
    **dict.fromkeys(("cores", "cpu", "cpuunits", "numa", "sockets"), "VM.Config.CPU"),
    **dict.fromkeys(("memory", "balloon"), "VM.Config.Memory"),
    **dict.fromkeys(("net[n]",), "VM.Config.Network"),
    **dict.fromkeys(("boot", "unused[n]"), "VM.Config.Disk"),
    **dict.fromkeys(
        ("acpi", "hotplug", "machine", "scsihw", "serial[n]", "smbios1", "tablet", "vga"), "VM.Config.HWType"
    ),
    **dict.fromkeys(
        (
            "agent",
            "bios",
            "description",
            "name",
            "onboot",
            "ostype",
            "protection",
            "startup",
            "tags",
            "template",
        ),
        "VM.Config.Options",
    ),
}
"""What a change of an option needs on the VM (qemu-server, API2/Qemu.pm, check_vm_modify_config_perm)."""
ROOT_ONLY = ("args", "hookscript")
HOT = (
    "agent",
    "boot",
    "description",
    "hotplug",
    "name",
    "net[n]",
    "onboot",
    "protection",
    "scsi[n]",
    "startup",
    "tags",
    "unused[n]",
    "virtio[n]",
)
"""What a running VM takes at once; everything else is pending until its next start."""
