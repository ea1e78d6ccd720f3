"""Images from a real registry: behind tokens, blobs on another server, packed in each way, by digest."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from lab.artifacts.sources.upstream import UpstreamSource
from lab.catalogue.catalogue import Catalogue
from lab.errors import PreflightError
from tests.doubles.upstream.publish import DOCKER, OCI, config_of, encode
from tests.integration.artifacts.shelf import THING, ZERO, Shelf

pytestmark = pytest.mark.usefixtures("waited")


def unpacked(packed: bytes, packing: str) -> bytes:
    return subprocess.run([packing, "-dc"], input=packed, capture_output=True, check=True).stdout


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
