"""Virtual machines of Proxmox VE."""
