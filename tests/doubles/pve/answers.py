"""How the API says no."""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """An answer other than 200: status, one line of text, and a text for each wrong parameter."""

    def __init__(self, status: int, message: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, dict(errors or {})


class TaskError(Exception):
    """What ends a task: its exit status."""


class Dropped(Exception):
    """The connection ends without an answer."""


def wrong(name: str, text: str) -> ApiError:
    """One parameter is wrong."""
    return ApiError(400, "Parameter verification failed.", {name: text})


def missing_vm(node: str, vmid: int) -> ApiError:
    """PVE's answer for a VM that is not on this node."""
    return ApiError(500, f"Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")


def forbidden(path: str, *privileges: str) -> ApiError:
    """PVE's answer for a missing privilege."""
    return ApiError(403, f"Permission check failed ({path}, {'|'.join(privileges)})")
