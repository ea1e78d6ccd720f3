"""Machines as LXC system containers on this machine."""
