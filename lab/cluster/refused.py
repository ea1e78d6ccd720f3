"""What server-side apply does not do: lists of which others wrote members, templates that never change."""

from __future__ import annotations

from lab.cluster import webhooks
from lab.cluster.api import FIELD_MANAGER, MERGE, PASSING, Api, ApiError
from lab.objects import Object, title


def made_anew(item: Object, refused: ApiError) -> bool:
    """Whether an object that the API refuses to change may go for a new one.

    A Job's template is immutable (batch/v1), and it holds nothing but its own pods: it runs once more. Of
    other kinds a person decides.
    """
    return item["kind"] == "Job" and refused.status == 422 and "immutable" in refused.message


def laid_over(
    api: Api,
    item: Object,
    live: Object | None,
    refused: ApiError,
    *,
    dry_run: bool = False,
    manager: str = FIELD_MANAGER,
) -> Object:
    """The object with `item` laid over it by a merge patch, for one that server-side apply cannot mend.

    Apply keeps the members of a list that others wrote: beside a port whose number was edited by hand it
    puts ours, under the same name, which the API refuses (422). A merge patch replaces lists whole. Raises
    what was `refused` for anything else, and for what the API does not take this way either.
    """
    if live is None or refused.status != 422 or made_anew(item, refused):
        raise refused
    try:
        return api.merge(item, dry_run=dry_run, manager=manager)
    except ApiError as error:
        if error.status in (404, *PASSING) or webhooks.not_yet(error.message):
            raise
        raise ApiError(title(item), refused.status, refused.said, next_step=_by_hand(item)) from refused


def _by_hand(item: Object) -> str:
    """What a person does about an object that the API changes in no way."""
    meta, group = item["metadata"], item["apiVersion"].rpartition("/")[0]
    space = f"-n {meta['namespace']} " if meta.get("namespace") else ""
    kind = ".".join(filter(None, (item["kind"].lower(), group)))
    return (
        f"look at it: invoke kubectl -- {space}get {kind} {meta['name']} -o yaml; what cannot be changed in "
        "place is removed by hand, then invoke build"
    )


def owned_by_apply(api: Api, item: Object, merged: Object) -> Object:
    """Apply `item` over what a merge patch has made; the object afterwards.

    What the patch wrote is let go: a field that it owned as well would stay when we render it no more.
    """
    kept = [
        entry
        for entry in merged["metadata"].get("managedFields") or ()
        if (entry["manager"], entry["operation"]) != (FIELD_MANAGER, "Update")
    ]
    meta = {"managedFields": kept, "resourceVersion": merged["metadata"]["resourceVersion"]}
    api.request("PATCH", f"{api.path(item)}?fieldManager={FIELD_MANAGER}", {"metadata": meta}, MERGE)
    return api.apply(item)
