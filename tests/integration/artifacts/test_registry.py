"""Images from a real registry: behind tokens, blobs on another server, packed in each way, on bad days."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.images import StoredImage
from lab.artifacts.sources import Mirrors
from lab.artifacts.sources.trouble import PATIENT_TRIES, TRIES
from lab.artifacts.sources.upstream import UpstreamSource
from lab.artifacts.store import Store
from lab.catalogue.catalogue import Catalogue
from lab.catalogue.model import ComponentVersion
from lab.errors import FailedError, PreflightError
from lab.local import poured
from tests.doubles.upstream.publish import DOCKER, OCI, Publisher, config_of, encode, small_layer
from tests.doubles.upstream.servers import Front, Upstream

pytestmark = pytest.mark.usefixtures("waited")
ZERO = f"sha256:{'0' * 64}"
THING = ComponentVersion("thing", "v1")


class Shelf:
    """A registry with images of two small layers, and a store to pull them into."""

    def __init__(self, upstream: Upstream, store: Store, folder: Path) -> None:
        self.upstream, self.store, self.day, self.folder = upstream, store, upstream.day, folder
        self.layers = [
            small_layer(folder, {"bin/tool": os.urandom(200_000)}),
            small_layer(folder, {"etc/conf": b"conf"}),
        ]
        self.host = upstream.host("registry")
        self.said: list[str] = []

    @contextmanager
    def publisher(self) -> Iterator[Publisher]:
        with self.upstream.publishing() as address:
            yield Publisher(address, self.folder / "packed")

    def publish(self, repository: str = "some/thing", **how: Any) -> str:
        """Push an image for both architectures under v1; gives the digest of its index."""
        configs = {arch: config_of(arch, self.layers, Cmd=[arch]) for arch in ("amd64", "arm64")}
        with self.publisher() as publisher:
            return publisher.image(repository, "v1", self.layers, configs, **how)

    def source(
        self, digest: str, arch: str = "amd64", repository: str = "some/thing", host: str = "",
        mirrors: Mirrors | None = None,
    ) -> UpstreamSource:  # fmt: skip
        component = {
            "kind": "image",
            "reference": f"{host or self.host}/{repository}:{{version}}",
            "modules": {"programs": {}, "entrypoint": ["/bin/tool"]},
            "versions": {"v1": {"digest": digest}},
        }
        selection = Catalogue.model_validate({"components": {"thing": component}}).everything()
        return UpstreamSource(self.store, selection, arch, self.said.append, mirrors)

    def pull(self, digest: str, arch: str = "amd64", **where: Any) -> dict[str, bytes]:
        """Pull it; gives the members of the tar that is imported."""
        made = self.source(digest, arch, **where).make(THING)
        image = StoredImage.of(f"{where.get('host') or self.host}/some/thing:v1", self.store.paths(made))
        with poured(image.write_to) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            return {member.name: read(tar, member) for member in tar}

    def refused(self, digest: str, arch: str = "amd64", **where: Any) -> FailedError:
        """Pull it and fail: the error, in one block that names the component; and nothing is in the store."""
        source = self.source(digest, arch, **where)
        with pytest.raises(FailedError) as raised:
            source.make(THING)
        key = source.key(THING)
        assert key
        assert self.store.read(key) is None
        assert list((self.store.folder / "work").iterdir()) == []
        assert raised.value.message.startswith("thing: ")
        assert "level=" not in str(raised.value)
        assert raised.value.next_step
        return raised.value


def read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = tar.extractfile(member)
    assert content
    return content.read()


def unpacked(packed: bytes, packing: str) -> bytes:
    return subprocess.run([packing, "-dc"], input=packed, capture_output=True, check=True).stdout


@pytest.fixture
def shelf(upstream: Upstream, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Shelf(upstream, store, tmp_path)


@pytest.mark.parametrize(
    ("types", "packing"), [(OCI, "gzip"), (OCI, "zstd"), (DOCKER, "gzip")], ids=["oci", "zstd", "docker"]
)
@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_an_image_is_pulled_by_digest(shelf: Shelf, arch: str, types: dict[str, str], packing: str) -> None:
    members = shelf.pull(shelf.publish(types=types, packing=packing), arch)
    (manifest,) = json.loads(members["manifest.json"])
    assert manifest["RepoTags"] == [f"{shelf.host}/some/thing:v1"]
    config = json.loads(members[manifest["Config"]])
    assert (config["architecture"], config["config"]["Cmd"]) == (arch, [arch])
    assert [unpacked(members[name], packing) for name in manifest["Layers"]] == [
        path.read_bytes() for path in shelf.layers
    ], "as the registry has them, for containerd to unpack"


def test_the_storage_that_blobs_are_sent_to_never_sees_the_token(shelf: Shelf) -> None:
    shelf.pull(shelf.publish())
    shown = {(server, scheme) for server, path, _, scheme in shelf.day.asked if path != "/v2/"}
    assert shown == {("tokens", ""), ("registry", "Bearer"), ("storage", "")}


def test_a_manifest_that_is_pinned_itself(shelf: Shelf) -> None:
    with shelf.publisher() as publisher:
        blobs = [publisher.pack(layer, "gzip") for layer in shelf.layers]
        digest, _ = publisher.manifest("some/thing", config_of("arm64", shelf.layers), blobs)
    assert shelf.pull(digest, "arm64")
    error = shelf.refused(digest, "amd64")
    assert f"some/thing@{digest}: is for linux/arm64, wanted linux/amd64" in error.message


def test_an_index_without_this_architecture(shelf: Shelf) -> None:
    with shelf.publisher() as publisher:
        configs = {"arm64": config_of("arm64", shelf.layers)}
        digest = publisher.image("some/thing", "v1", shelf.layers, configs)
    assert "has no image for linux/amd64" in shelf.refused(digest).message


def test_a_changed_layer_is_refused_by_name(shelf: Shelf) -> None:
    """Whoever changes what the registry keeps does not change what is trusted."""
    digest = shelf.publish()
    changed = {}
    for path in (shelf.upstream.folder / "storage").rglob("data"):
        content = path.read_bytes()
        if not content.startswith(b"{"):
            altered = content[:-1] + bytes([content[-1] ^ 0x01])
            path.write_bytes(altered)
            changed[path.parent.name] = hashlib.sha256(altered).hexdigest()
    assert len(changed) == len(shelf.layers)
    error = shelf.refused(digest)
    assert f"some/thing@{digest}: wrong digest" in error.message
    assert any(
        f"wanted sha256:{wanted}\n  got    sha256:{got}" in error.message for wanted, got in changed.items()
    )
    assert "do not use that image" in error.next_step


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_a_changed_link_of_the_chain(shelf: Shelf, what: str) -> None:
    digest = shelf.publish()
    changed = 0
    for path in (shelf.upstream.folder / "storage").rglob("data"):
        content = path.read_bytes()
        if content.startswith(b"{") and (b"rootfs" in content) == (what == "config"):
            path.write_bytes(content[:-1] + b" ")
            changed += 1
    assert changed
    assert shelf.refused(digest)


def test_another_image_under_the_pinned_digest(shelf: Shelf) -> None:
    """A server that answers with a whole and sound image, which is another one."""
    digest = shelf.publish()
    with shelf.publisher() as publisher:
        other = config_of("amd64", shelf.layers, Cmd=["other"])
        evil = publisher.image("some/thing", "evil", shelf.layers, {"amd64": other})
    shelf.upstream.day.instead = {digest: evil}
    error = shelf.refused(digest)
    assert f"@{digest}: wrong digest" in error.message
    assert f"wanted {digest}" in error.message


def test_something_that_is_no_image(shelf: Shelf) -> None:
    with shelf.publisher() as publisher:
        body = encode({"schemaVersion": 2, "mediaType": OCI["index"], "manifests": []})
        empty = publisher.put_manifest("some/thing", "v1", body, OCI["index"])
    assert "has no image for linux/amd64" in shelf.refused(empty).message


def test_a_digest_that_upstream_does_not_serve(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the component, the reference, and the one line to change with what it could be."""
    digest = shelf.publish()
    recipes = shelf.folder / "artifacts"
    recipes.mkdir()
    (recipes / "catalogue.yaml").write_text(f"components:\n  thing:\n    digest: {ZERO}\n")
    monkeypatch.setattr("lab.catalogue.load.files", lambda: (recipes / "catalogue.yaml",))
    error = shelf.refused(ZERO)
    assert error.message == f"thing: {shelf.host}/some/thing@{ZERO}: the registry has no such image"
    assert error.next_step.startswith(
        f"artifacts/catalogue.yaml:3: `digest: {digest}` is what the tag v1 names"
    )
    gone = shelf.refused(ZERO, repository="some/other")
    assert gone.next_step == "pin another version: `version` and `digest`, artifacts/catalogue.yaml:3"


def test_a_private_image_wants_a_login_and_gets_it_from_where_people_have_it(shelf: Shelf) -> None:
    digest = shelf.publish("private/thing")
    error = shelf.refused(digest, repository="private/thing")
    assert "HTTP 401" in error.message
    assert f"skopeo login {shelf.host}" in error.next_step
    assert "REGISTRY_AUTH_FILE=" in error.next_step
    secret = base64.b64encode(b"somebody:secret").decode()
    (shelf.folder / ".docker").mkdir()
    logins = {"auths": {shelf.host: {"auth": secret}}}
    (shelf.folder / ".docker" / "config.json").write_text(json.dumps(logins))
    assert shelf.pull(digest, repository="private/thing")
    logs = "".join(path.read_text() for path in (shelf.store.folder / "logs").iterdir())
    assert logs
    assert not re.search(f"secret|{secret}|Bearer", logs), "a log holds no password and no token"


def test_the_file_that_registry_auth_file_names(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = shelf.publish("private/thing")
    logins = {"auths": {shelf.host: {"auth": base64.b64encode(b"somebody:secret").decode()}}}
    (shelf.folder / "logins.json").write_text(json.dumps(logins))
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(shelf.folder / "logins.json"))
    assert shelf.pull(digest, repository="private/thing")


@pytest.mark.parametrize("where", ["/manifests/", "/data"])
def test_a_registry_that_asks_to_wait_is_waited_for(shelf: Shelf, where: str) -> None:
    digest = shelf.publish()
    shelf.day.refuse[where], shelf.day.retry_after = [429, 429], "1"
    assert shelf.pull(digest)
    assert len([line for line in shelf.said if "HTTP 429, the registry asks to wait 1 s" in line]) == 2


@pytest.mark.parametrize("where", ["/manifests/", "/data", "/token"])
@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_for_a_minute_is_sat_out(
    shelf: Shelf, where: str, status: int, waited: list[float]
) -> None:
    digest = shelf.publish()
    shelf.day.refuse[where] = [status] * 2
    assert shelf.pull(digest)
    assert waited[:1] == [1]
    shelf.day.refuse[where], shelf.day.endless = [status], True
    waited.clear()
    error = shelf.refused(digest, "arm64")
    assert f"HTTP {status}" in error.message
    assert f"({PATIENT_TRIES} tries)" in error.message
    assert sum(waited) == 63


@pytest.mark.parametrize("where", ["/manifests/", "/data", "/token"])
def test_a_registry_that_forbids_it(shelf: Shelf, where: str) -> None:
    digest = shelf.publish()
    shelf.day.refuse[where], shelf.day.endless = [403], True
    error = shelf.refused(digest)
    assert "HTTP 403" in error.message
    assert "proxy and firewall" in error.next_step
    shelf.day.refuse.clear()
    assert shelf.pull(digest), "the same again goes on"


def test_a_limit_that_stays_is_said_with_what_raises_it(shelf: Shelf) -> None:
    digest = shelf.publish()
    shelf.day.refuse["/token"], shelf.day.endless = [429], True
    error = shelf.refused(digest)
    assert "HTTP 429" in error.message
    assert f"skopeo login {shelf.host} raises the limit" in error.next_step


def test_a_cut_connection_is_tried_again(shelf: Shelf) -> None:
    digest = shelf.publish()
    shelf.day.cut["/data"] = [1000]
    assert shelf.pull(digest)
    assert any("the connection was cut, trying again" in line for line in shelf.said)
    shelf.day.cut["/data"] = [1000] * 100
    error = shelf.refused(digest, "arm64")
    assert f"the connection was cut ({TRIES} tries)" in error.message


def test_one_kilobyte_a_second_is_not_waited_for(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = shelf.publish()
    shelf.day.pace["/data"] = 1000
    with monkeypatch.context() as hasty:
        hasty.setattr("lab.artifacts.sources.trouble.WINDOW", 1.5)
        error = shelf.refused(digest)
    assert re.search(rf"only \d\.\d kB/s for \d+ s \({TRIES} tries\)", error.message)
    shelf.day.pace.clear()
    assert shelf.pull(digest)


def test_nobody_there(shelf: Shelf) -> None:
    error = shelf.refused(ZERO, host="localhost:1")
    assert f"localhost:1/some/thing@{ZERO}: connection refused" in error.message


def test_a_name_that_nobody_knows(shelf: Shelf) -> None:
    error = shelf.refused(ZERO, host="registry.invalid")
    assert "its name cannot be resolved" in error.message
    assert "/etc/resolv.conf" in error.next_step


def test_an_authority_that_is_not_trusted(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    error = shelf.refused(ZERO)
    assert "an authority that this machine does not trust" in error.message
    assert "update-ca-certificates" in error.next_step


@pytest.mark.parametrize("days", [-365, 365])
def test_a_clock_that_is_a_year_off(shelf: Shelf, days: int) -> None:
    shelf.upstream.serve("late", Front, begins=datetime.now(UTC) + timedelta(days=days))
    error = shelf.refused(ZERO, host=shelf.upstream.host("late"))
    assert f"not valid on {datetime.now(UTC):%Y-%m-%d}" in error.message
    assert "timedatectl" in error.next_step


def test_c55_a_proxy_that_is_dead(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    error = shelf.refused(ZERO, host="registry.invalid")
    assert "the proxy does not answer" in error.message


def test_a_mirror_is_asked_first_and_then_the_registry(shelf: Shelf) -> None:
    digest = shelf.publish()
    mirrors = {"registry.invalid": [f"https://{shelf.host}"]}
    assert shelf.pull(digest, host="registry.invalid", mirrors=mirrors)
    mirrors = {shelf.host: ["https://localhost:1", "https://mirror.invalid/with/a/path"]}
    assert shelf.pull(digest, "arm64", mirrors=mirrors)
    assert any("has a path, only nodes can use it" in line for line in shelf.said)


def test_a_mirror_without_tls(shelf: Shelf) -> None:
    digest = shelf.publish()
    with shelf.upstream.publishing() as address:
        assert shelf.pull(digest, host="registry.invalid", mirrors={"registry.invalid": [address]})


def test_every_place_that_failed_is_named(shelf: Shelf) -> None:
    error = shelf.refused(ZERO, mirrors={shelf.host: ["https://localhost:1"]})
    assert f"localhost:1/some/thing@{ZERO}: connection refused" in error.message
    assert f"{shelf.host}/some/thing@{ZERO}: the registry has no such image" in error.message


def test_a_machine_without_skopeo(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.artifacts.sources.skopeo.PROGRAM", "no-such-skopeo")
    with pytest.raises(PreflightError, match="not installed") as raised:
        shelf.source(ZERO).make(THING)
    assert raised.value.next_step == "apt-get install skopeo"


def test_what_is_not_pinned_is_never_pulled(shelf: Shelf) -> None:
    component = {
        "kind": "image",
        "reference": f"{shelf.host}/some/thing:{{version}}",
        "modules": {"programs": {}, "entrypoint": ["/bin/tool"]},
        "versions": {"v1": {"unpinned": "nobody knows it"}},
    }
    selection = Catalogue.model_validate({"components": {"thing": component}}).everything()
    origin = UpstreamSource(shelf.store, selection, "amd64", shelf.said.append)
    assert origin.origin(THING) == "modules"
    # Composed here instead: of nothing, in this test.
    assert origin.make(THING).files
    assert shelf.day.asked == []
