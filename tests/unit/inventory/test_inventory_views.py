"""What people see of inventories: tables, generated files, new files, the rest of the messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from addons.metallb.section import MetalLB
from addons.traefik.section import Ingress
from lab.errors import InputError
from lab.inventory import files, load
from lab.inventory.complete import inventory_model
from lab.inventory.init import QUESTIONS, init
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.inventory.problems import Problem, SourceText, dotted, line_of, shown
from lab.inventory.reference import reference
from lab.inventory.rules import rules
from lab.inventory.rules.capacity import rows
from lab.inventory.schema import schema
from lab.inventory.show import show
from lab.inventory.withdrawn import WITHDRAWN


def keys(model: Any) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and hasattr(inner, "model_fields"):
                yield from keys(inner)


def test_schema_and_reference_know_every_field() -> None:
    text, page = schema(), reference()
    for key in keys(inventory_model()):
        assert f'"{key}"' in text
        assert f"`{key}`" in page
    for item in WITHDRAWN.values():
        assert f"`{dotted(item.told)}`" in page
    for rule in rules():
        assert (rule.__doc__ or "").split("\n")[0][:60] in " ".join(page.split())


def test_every_field_says_what_it_is_for() -> None:
    data = json.loads(schema())
    for model in (data, *data["$defs"].values()):
        assert model["description"]
        for key, field in model.get("properties", {}).items():
            target = data["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
            assert field.get("description") or target.get("description"), key


def test_the_schema_refuses_unknown_keys_everywhere() -> None:
    data = json.loads(schema())
    for model in (data, *data["$defs"].values()):
        if "properties" in model:
            assert model["additionalProperties"] is False


def printed(inventory: Inventory) -> str:
    console = Console(width=170, no_color=True, record=True, file=open_null())
    console.print(show(inventory))
    return console.export_text()


def open_null() -> Any:
    return Path("/dev/null").open("w")


def test_show_prints_every_machine_with_its_derived_values() -> None:
    lab = load("production")
    text = printed(lab)
    for name in lab.hosts:
        assert name in text
        assert str(lab.interface(name)) in text
        assert lab.mac(name) in text
    assert "https://10.1.1.50:6443" in text


def test_show_prints_capacity_notes_and_warnings() -> None:
    assert "84%" in printed(load("production"))
    assert "production -> production-lxc" in printed(load("production", provider="lxc"))
    tight = files.FOLDER.parent / "tests/fixtures/inventory/valid/proxmox-tight.yaml"
    assert "which is tight" in printed(load(str(tight)))


def test_capacity_counts_each_machine_once() -> None:
    found = {(row.subject, row.unit): (row.need, row.have) for row in rows(load("production"))}
    assert found["hypervisor pve-1", "vCPU"] == (54, 64)
    assert found["hypervisor pve-1", "GiB memory"] == (106, 128)
    assert found["hypervisor pve-1", "GiB disk"] == (1320, 1862)
    assert found["pod network", "nodes"] == (15, 256)
    assert found["LAN", "addresses"] == (16 + 1 + 51, 254)


# --- invoke init


def test_a_new_inventory_is_valid_and_never_overwrites(tmp_path: Path) -> None:
    path = init("mine", folder=tmp_path)
    lab = load(str(path))
    assert (lab.lab, lab.provider, len(lab.masters), len(lab.workers)) == ("mine", "lxc", 3, 2)
    assert lab.section(Ingress).address == lab.section(MetalLB).pools[0].addresses[0].first
    before = path.read_text()
    with pytest.raises(InputError, match="exists already"):
        init("mine", {"workers": "9"}, folder=tmp_path)
    assert path.read_text() == before
    (tmp_path / "link.yaml").symlink_to("nowhere")
    with pytest.raises(InputError, match="exists already"):
        init("link", folder=tmp_path)
    with pytest.raises(InputError, match=r"lab: .*63"):
        init("x" * 300, folder=tmp_path)


@pytest.mark.parametrize(
    "answers",
    [
        {"lan": "10.100.0.0/24"},
        {"lan": "10.244.0.0/16", "workers": "40"},
        {"lan": "192.168.7.0/27", "masters": "5", "workers": "9"},
        {"provider": "proxmox", "workers": "10"},
        {"provider": "static", "masters": "7"},
        {"provider": "vagrant", "workers": "1"},
    ],
    ids=str,
)
def test_any_right_answers_give_a_right_inventory(tmp_path: Path, answers: dict[str, str]) -> None:
    lab = load(str(init("mine", answers, folder=tmp_path)))
    assert len(lab.masters) == int(answers.get("masters", "3"))
    assert len(lab.workers) == int(answers.get("workers", "2"))


@pytest.mark.parametrize("name", ["123", "true", "null", "no", "1e3", "0x1f", "a-1"])
def test_a_name_that_looks_like_something_else_is_a_name(tmp_path: Path, name: str) -> None:
    answers = {"provider": "proxmox", "hypervisor": "pve-1e3"}
    assert load(str(init(name, answers, folder=tmp_path))).lab == name


@pytest.mark.parametrize(
    ("name", "answers", "words"),
    [
        ("Mine", {}, "write mine"),
        ("../mine", {}, "may hold only"),
        ("a: b", {}, "write a-b"),
        ("", {}, "may hold only"),
        ("mine", {"provider": "proxmox", "hypervisor": "p: q"}, "write p-q"),
        ("mine", {"masters": "2"}, "must be odd"),
        ("mine", {"masters": "three"}, "must be a whole number"),
        ("mine", {"workers": "0"}, "there is no worker"),
        ("mine", {"lan": "10.1.1.5/24"}, "write 10.1.1.0/24"),
        ("mine", {"lan": "10.1.1.0/29"}, "no room"),
        ("mine", {"provider": "docker"}, "must be one of"),
        ("mine", {"provider": "proxmox", "workers": "40"}, "cannot fit"),
        ("mine", {"color": "red"}, "nothing to answer"),
    ],
)
def test_wrong_answers_write_nothing(tmp_path: Path, name: str, answers: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        init(name, answers, folder=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("hypervisor", "haproxy", "pool"),
    [
        ("pve-1", "10.1.1.10", "10.1.1.16-10.1.1.65"),
        ("10.1.1.40", "10.1.1.10", "10.1.1.41-10.1.1.90"),
        ("10.1.1.250", "10.1.1.10", "10.1.1.16-10.1.1.65"),
        ("10.1.1.10", "10.1.1.11", "10.1.1.17-10.1.1.66"),
        ("10.1.1.254", "10.1.1.10", "10.1.1.16-10.1.1.65"),
        ("10.0.0.11", "10.1.1.10", "10.1.1.16-10.1.1.65"),
    ],
)
def test_c41_a_new_inventory_goes_round_its_hypervisor(
    tmp_path: Path, hypervisor: str, haproxy: str, pool: str
) -> None:
    answers = {"provider": "proxmox", "proxmox_host": hypervisor}
    lab = load(str(init("mine", answers, folder=tmp_path)))
    assert lab.addresses["haproxy"] == haproxy
    assert [str(area) for area in lab.section(MetalLB).pools[0].addresses] == [pool]


def test_c41_a_small_lan_has_no_room_beside_a_hypervisor(tmp_path: Path) -> None:
    answers = {"provider": "proxmox", "lan": "10.1.1.0/28", "masters": "3", "workers": "8"}
    assert load(str(init("mine", answers | {"proxmox_host": "pve-1"}, folder=tmp_path))).workers
    with pytest.raises(InputError, match="no room for 12 machines and a pool"):
        init("other", answers | {"proxmox_host": "10.1.1.14"}, folder=tmp_path)


def test_only_what_is_not_known_is_asked(tmp_path: Path) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        return {"Workers [2]: ": "4"}.get(question, "")

    lab = load(str(init("mine", {"provider": "lxc", "lan": "10.9.0.0/24"}, ask=answer, folder=tmp_path)))
    assert len(lab.workers) == 4
    assert len(asked) == len(QUESTIONS) - 2


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        init("mine", folder=tmp_path / "gone")


# --- messages


def test_a_place_is_written_as_people_read_it() -> None:
    path = ("hosts", "w-1", "labels", "example.com/rack", 0)
    assert dotted(path) == 'hosts.w-1.labels["example.com/rack"][0]'
    assert dotted(()) == "(file)"


def test_a_value_stays_on_one_line() -> None:
    assert shown("a\nb\tc\x1b[31m") == "a\\nb\\tc\\x1b[31m"
    assert len(shown("x" * 1000)) < 70


def test_a_default_is_told_as_one_and_the_written_owner_comes_first() -> None:
    text = (files.FOLDER / "rehearsal.yaml").read_text().replace("  service_subnet: 10.96.0.0/12\n", "")
    with pytest.raises(InputError) as refused:
        parse(text.replace("10.1.1.", "10.97.1."), "x.yaml")
    line = refused.value.message
    assert "network.lan: 10.97.1.0/24" in line
    assert "[kubernetes.service_subnet (default 10.96.0.0/12)]" in line


def test_a_problem_without_place_in_the_file_is_told_above_it() -> None:
    problem = Problem(("kubernetes", "max_pods"), "is too many", "write less")
    line = line_of(problem, SourceText("x.yaml"), lambda _: "110")
    assert line == "x.yaml:1: (file): kubernetes.max_pods (default 110): is too many; write less"


def test_the_page_knows_no_limit_that_is_none() -> None:
    assert "None" not in reference()
    assert "| number above 0, at most 10000 |" in reference()


def test_the_dialogue_of_the_page_is_the_one_that_people_have(tmp_path: Path) -> None:
    told = reference().partition("$ invoke init mine\n")[2].partition("```")[0].splitlines()
    answers = iter([line.rpartition("]:")[2].strip() for line in told if "]:" in line])
    heard: list[str] = []

    def ask(question: str) -> str:
        answer = next(answers)
        heard.append(f"{question}{answer}".rstrip())
        return answer

    init("mine", ask=ask, tell=heard.append, folder=tmp_path)
    assert heard == told[:-2]


def test_what_machines_ask_is_shown() -> None:
    lab = load(str(files.FOLDER.parent / "tests/fixtures/inventory/valid/search-domains.yaml"))
    console = Console(width=200, no_color=True)
    with console.capture() as seen:
        console.print(show(lab))
    rows = [" ".join(line.split()) for line in seen.get().splitlines()]
    assert f"search domains {', '.join(lab.network.search_domains)}" in rows
    assert "time servers pool.ntp.org" in rows
