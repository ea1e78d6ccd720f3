"""verify: the acceptance suite, and its verdict as an exit code."""

from __future__ import annotations

from lab.commands.session import session, shown
from lab.errors import AcceptanceError
from lab.verify.outcomes import Outcome
from lab.verify.run import verify as run_suite


@shown
def verify(inventory: str, provider: str, layer: list[str], select: str) -> None:
    """Run the layers, print the verdict. Raises `AcceptanceError` unless it is green."""
    with session("verify", inventory, provider) as opened:
        verdict = run_suite(opened.lab, opened.run, opened.console, layer, select)
        report = opened.run.folder / "report.html"
        opened.console.say(f"report: {report}")
        bad = [item for item in verdict.records if item.outcome not in (Outcome.PASSED, Outcome.SKIPPED)]
        if not verdict.green:
            lines = [f"  {' '.join(item.checks) or '-'} {item.host or 'lab'}: {item.title}" for item in bad]
            raise AcceptanceError(
                f"{opened.inventory.lab}: {len(bad)} checks did not pass\n" + "\n".join(lines),
                next_step=f"open {report}",
            )
