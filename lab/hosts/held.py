"""What lies on a host, as it tells of it."""

from __future__ import annotations

import base64

from lab.answers import AnswerPart


class HeldFile(AnswerPart):
    """A file of a host: its bytes in base64, mode as `0644`, owner as `root:root`."""

    text: str
    mode: str
    owner: str

    @property
    def content(self) -> str:
        """The text; bytes that are none are shown as replacement characters."""
        return base64.b64decode(self.text).decode(errors="replace")
