"""Three layers of defence: rows with a test, the seeded defects that prove each, rows without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.addons import addons, selected
from lab.inventory.models import Inventory
from lab.own_yaml import read
from lab.report.defences import Defence
from lab.selftest.defect import Defect
from lab.verify.index import answers, rows


def defences(
    inventory: Inventory, defects: Sequence[Defect], verdicts: Mapping[str, str]
) -> tuple[Defence, ...]:
    """Every row of a lab that has a test, with all defects that it must name; `verdicts` of those that ran.

    Rows of add-ons that the lab has not are left out, as their defects are.
    """
    tests: dict[str, list[str]] = {}
    for answer in answers():
        tests.setdefault(answer.row, []).append(answer.title)
    foreign = _of_others(inventory)
    return tuple(
        Defence(
            row=name,
            title=row.title,
            tests=tuple(tests[name]),
            defects={one.name: verdicts.get(one.name, "") for one in defects if name in one.rows},
            reason=row.unproven,
        )
        for name, row in rows().items()
        if name in tests and name not in foreign
    )


def gaps(found: Sequence[Defence]) -> list[str]:
    """What is wrong with them: rows without a defect or a reason, and rows with both."""
    return [f"{one.row}: no defect proves that its test can fail" for one in found if one.open] + [
        f"{one.row}: a defect, and a reason for having none" for one in found if one.defects and one.reason
    ]


def _of_others(inventory: Inventory) -> set[str]:
    """Rows of the add-ons that a lab has not."""
    files = [addon.folder / "rows.yaml" for addon in addons() if addon not in selected(inventory)]
    return {row for path in files if path.exists() for row in read(path.read_text())}
