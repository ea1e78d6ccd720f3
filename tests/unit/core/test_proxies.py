"""The user's proxies: which variables, who gets them, and who never does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import proxies
from lab.cluster.api import client
from lab.commands.reaching import own_addresses
from lab.inventory import load
from tests.unit.cluster.test_api import KUBECONFIG

ROOT = Path(__file__).resolve().parents[3]
HTTP, SOCKS = "http://proxy.example:3128", "socks5://proxy.example:1080"
NAMES = [spelling for kind in proxies.KINDS for spelling in (f"{kind}_proxy", f"{kind.upper()}_PROXY")]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *(proxies.ASIDE + kind for kind in proxies.KINDS)):
        monkeypatch.setenv(name, "")  # so that it is put back whatever a test leaves
        monkeypatch.delenv(name)


def seen() -> dict[str, str]:
    """The proxy variables that a library would find now."""
    return {name: os.environ[name] for name in NAMES if name in os.environ}


@pytest.mark.parametrize("name", NAMES)
def test_c55_every_spelling_is_set_aside_and_comes_back_for_fetching(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, HTTP)
    proxies.set_aside()
    assert seen() == {}
    kind = name.lower().removesuffix("_proxy")
    assert proxies.given() == {kind: HTTP}
    with proxies.fetching():
        assert {f"{kind}_proxy": HTTP, f"{kind.upper()}_PROXY": HTTP}.items() <= seen().items()
        with proxies.fetching():
            pass
        assert seen(), "the outer one still fetches"
    assert seen() == {}


def test_the_lower_case_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://other.example:1")
    monkeypatch.setenv("https_proxy", HTTP)
    proxies.set_aside()
    assert proxies.settings() == {"https_proxy": HTTP, "HTTPS_PROXY": HTTP}


def test_a_new_process_replaces_what_was_set_aside_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", HTTP)
    proxies.set_aside()
    proxies.set_aside()
    assert proxies.given() == {"https": HTTP}, "nothing was set, so nothing is replaced"
    monkeypatch.setenv("HTTP_PROXY", SOCKS)
    proxies.set_aside()
    assert proxies.given() == {"http": SOCKS}


def test_one_for_all_is_said_in_words_that_go_and_apt_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", SOCKS)
    monkeypatch.setenv("HTTP_PROXY", HTTP)
    proxies.set_aside()
    assert {proxies.settings()[name] for name in ("https_proxy", "HTTPS_PROXY", "all_proxy")} == {SOCKS}
    assert proxies.settings()["http_proxy"] == HTTP
    assert proxies.apt_settings()["https_proxy"] == "socks5h://proxy.example:1080"
    assert proxies.apt_settings()["http_proxy"] == HTTP


def test_c55_a_shell_keeps_them_but_not_for_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", HTTP)
    monkeypatch.setenv("NO_PROXY", "intranet.example,127.0.0.1")
    proxies.set_aside()
    environment = proxies.beside(own_addresses(load("rehearsal")))
    assert environment["https_proxy"] == HTTP
    listed = environment["NO_PROXY"].split(",")
    assert listed[:2] == ["intranet.example", "127.0.0.1"]
    assert {"10.1.1.0/24", "10.244.0.0/16", "10.96.0.0/12", "10.1.1.50", "master-1"} <= set(listed)
    assert ".rehearsal.internal" in listed
    assert len(listed) == len(set(listed))
    assert not any(name.startswith(proxies.ASIDE) for name in environment)


def test_a_shell_of_a_user_without_proxies_is_as_it_was() -> None:
    assert proxies.beside(["10.1.1.0/24"]) == dict(os.environ)


def test_c55_the_kubernetes_client_has_none_even_while_something_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    for value in (HTTP, "socks5h://proxy.example:1080"):
        monkeypatch.setenv("HTTPS_PROXY", value)
        made = client(tmp_path / "kubeconfig")
        assert made.configuration.proxy is None
        assert type(made.rest_client.pool_manager).__name__ == "PoolManager"


def test_they_are_set_aside_by_whatever_imports_the_project() -> None:
    program = "import lab, os; print(sorted(name for name in os.environ if 'proxy' in name.lower()))"
    environment = {**os.environ, "HTTPS_PROXY": HTTP, "all_proxy": SOCKS, "NO_PROXY": "x.example"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


SUDO = """#!/bin/sh
# As sudo with its usual env_reset: what is not named is lost.
keep=${1#--preserve-env=}; shift
for name in $(echo "$keep" | tr , ' '); do
    if value=$(printenv "$name"); then set -- "$name=$value" "$@"; fi
done
exec env -i PATH="$PATH" "$@"
"""


def through_make(folder: Path, **given: str) -> dict[str, str]:
    """The environment of a command that the Makefile runs as root for a user who is not."""
    for name, text in {"sudo": SUDO, "id": "#!/bin/sh\necho 1000\n"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["make", "--no-print-directory", "--eval", "show: ; @$(SUDO) env", "show"],
        cwd=ROOT,
        env={"PATH": f"{folder}:{os.environ['PATH']}", **given},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_sudo_in_the_makefile_lets_them_through(name: str, tmp_path: Path) -> None:
    assert through_make(tmp_path, **{name: HTTP})[name] == HTTP


def test_the_makefile_says_them_to_apt_in_lower_case(tmp_path: Path) -> None:
    told = through_make(tmp_path, HTTPS_PROXY=HTTP, HTTP_PROXY=HTTP, NO_PROXY="a.example", http_proxy=SOCKS)
    assert (told["https_proxy"], told["no_proxy"]) == (HTTP, "a.example")
    assert told["http_proxy"] == SOCKS, "what the user wrote is kept"
    assert "https_proxy" not in through_make(tmp_path)
