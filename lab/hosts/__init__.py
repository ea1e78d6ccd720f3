"""The machines' side of a lab: what a host is, what it must be, and how the difference is written to it."""
