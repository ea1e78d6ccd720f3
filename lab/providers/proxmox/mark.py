"""Whose a machine is: a line in its description, which a clone gets from its first moment.

The line names the machine's number, so that a copy made by hand, whose description is copied too, is not
taken for ours. Tags say the same to people and to lists; they alone prove nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

TAG = "plumbline"
_LINE = re.compile(
    r"^plumbline (?P<kind>lab|template)=(?P<owner>\S+) name=(?P<name>\S+) id=(?P<vmid>\d+)$", re.M
)


@dataclass(frozen=True)
class ProxmoxMark:
    """A machine of a lab, or (`kind` template) the template of an image: `owner` is the lab or image."""

    kind: str
    owner: str
    name: str
    vmid: int

    def __str__(self) -> str:
        return f"plumbline {self.kind}={self.owner} name={self.name} id={self.vmid}"

    def within(self, description: str | None) -> str:
        """The description with this line in it, and every other word that people wrote."""
        kept = [line for line in (description or "").splitlines() if not _LINE.match(line)]
        return "\n".join([str(self), *kept]).rstrip()


def lab_tag(lab: str) -> str:
    """The tag of a lab's machines."""
    return f"{TAG}-{lab}"


def read_mark(description: str | None, vmid: int) -> ProxmoxMark | None:
    """The mark of machine `vmid`, if its description holds one that was made for it."""
    text = description or ""
    # configuration files hold it percent-encoded, and some versions show it like that
    found = _LINE.search(text) or _LINE.search(unquote(text))
    if found is None or int(found["vmid"]) != vmid:
        return None
    return ProxmoxMark(found["kind"], found["owner"], found["name"], vmid)


def tags(text: str | None) -> frozenset[str]:
    """Tags as a set, whatever separates them."""
    return frozenset(re.split(r"[;,\s]+", text or "")) - {""}
