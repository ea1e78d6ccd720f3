"""What a person sees while something works: live lines on a terminal, plain lines elsewhere.

Every line also goes to the run's debug log. Finished lines start with the seconds since the start and the
host's name, so that a log can be searched by host.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console as RichConsole
from rich.console import RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

log = logging.getLogger("plumbline")

BEAT_SECONDS = 60.0
"""Where there is no terminal: time between two lines about what runs."""


class Console:
    """One command's output; use it as a context manager so that the live part is taken off at the end."""

    def __init__(self) -> None:
        self.rich = RichConsole(highlight=False, soft_wrap=True)
        self._begun = time.monotonic()
        self._running: dict[str, tuple[str, float, str]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._beating: threading.Thread | None = None
        self._live = Live(get_renderable=self._table, console=self.rich, transient=True, refresh_per_second=8)

    def __enter__(self) -> Console:
        if self.rich.is_terminal:
            self._live.start()
        else:
            self._beating = threading.Thread(target=self._beats, name="console", daemon=True)
            self._beating.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._live.is_started:
            self._live.stop()
        if self._beating:
            self._beating.join()  # no line about what runs stands behind the last one

    def _beats(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            self.beat()

    def beat(self) -> None:
        """Say in one line what runs, for where no live part shows it."""
        with self._lock:
            running = list(self._running.values())
        if not running:
            return
        title, begun, state = running[0]
        others = f"; {len(running) - 1} more at work" if len(running) > 1 else ""
        self.say(escape(f"{title}, for {time.monotonic() - begun:.0f} s: {state or 'at work'}{others}"))

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._begun

    def say(self, text: str, host: str = "") -> None:
        """Print one line for everybody."""
        log.info("%s%s", f"{host}: " if host else "", text)
        self.rich.print(f"[dim]{self.elapsed:7.1f}s[/dim]  [bold]{host:<12}[/bold] {text}", markup=True)

    def show(self, what: RenderableType) -> None:
        """Print a table, a diff or a paragraph."""
        self.rich.print(what)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question: the live part is off while the block runs."""
        live = self._live.is_started
        if live:
            self._live.stop()
        try:
            yield
        finally:
            if live:
                self._live.start()

    def note(self, key: str, state: str) -> None:
        """Say what a running piece of work is waiting for; seen on a terminal, and in the debug log."""
        with self._lock:
            title, begun, last = self._running.get(key, (key, time.monotonic(), ""))
            if key in self._running:
                self._running[key] = (title, begun, state)
        if state != last:
            log.debug("%s: %s", key, state)

    @contextmanager
    def working(self, key: str, title: str) -> Iterator[None]:
        """Show a piece of work as running while the block runs."""
        with self._lock:
            self._running[key] = (title, time.monotonic(), "")
        log.debug("begin %s: %s", key, title)
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(key, None)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        with self._lock:
            running = list(self._running.values())
        for title, begun, state in running:
            table.add_row(
                Spinner("dots"),
                f"{time.monotonic() - begun:5.1f}s",
                escape(title),
                f"[dim]{escape(state)}[/dim]",
            )
        return table


def fail(text: str) -> None:
    """Print an error block to standard error, as written: inventories may hold what looks like markup."""
    RichConsole(stderr=True, highlight=False, soft_wrap=True).print(text, style="bold red", markup=False)
    sys.stderr.flush()
