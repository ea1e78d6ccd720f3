"""A request on its way through the API: who asks, may they, is it well formed, what comes of it.

No socket in here: a test may ask directly, and the server only wraps it in HTTP.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.pve import accounts, cluster, jobs, pools, qemu, qemu_copies, qemu_power, storage
from tests.doubles.pve.access import Caller
from tests.doubles.pve.answers import ApiError, Dropped, forbidden
from tests.doubles.pve.endpoint import Endpoint, Permission
from tests.doubles.pve.faults import Strike
from tests.doubles.pve.journal import Request
from tests.doubles.pve.parameters import parse_all
from tests.doubles.pve.routes import Route, routes
from tests.doubles.pve.world import Call, World, answers

MODULES = (accounts, cluster, jobs, pools, qemu, qemu_copies, qemu_power, storage)
"""Each has put its answers into `answers` when it was imported."""
PREFIX = "/api2/json"


@dataclass(frozen=True)
class Answer:
    """What goes back: `message` is the reason phrase and, for an error, stands in the body as well."""

    status: int
    message: str
    data: Any = None
    errors: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The JSON body."""
        if self.status == 200:
            return {"data": self.data}
        found: dict[str, Any] = {"data": None, "message": f"{self.message}\n"}
        return found | ({"errors": dict(self.errors)} if self.errors else {})


@dataclass(frozen=True)
class Headers:
    """The headers that say who asks."""

    authorization: str = ""
    cookie: str = ""
    csrf: str = ""


class Api:
    """Answers requests to one cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._routes = routes(world.major)

    def ask(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        headers: Headers | None = None,
        upload: bytes = b"",
    ) -> Answer:
        """The answer to one request; `path` is without the prefix. Raises `Dropped` where ordered."""
        world = self.world
        request = Request(world.clock.now(), method, path, _public(parameters or {}))
        world.journal.begin(request)
        strike = world.faults.strike(method, path)
        try:
            answer = self._struck(strike, request, parameters or {}, headers or Headers(), upload)
        except Dropped:
            world.journal.end(request, -1, "connection dropped", world.clock.now())
            raise
        world.journal.end(request, answer.status, answer.message, world.clock.now())
        return answer

    def _struck(
        self,
        strike: Strike | None,
        request: Request,
        parameters: Mapping[str, str],
        headers: Headers,
        upload: bytes,
    ) -> Answer:
        if strike is None:
            return self._answer(request, parameters, headers, upload)
        answer = self._answer(request, parameters, headers, upload) if strike.after else None
        if strike.seconds:
            time.sleep(strike.seconds)
        if strike.status == 0:
            raise Dropped
        if answer is not None and strike.status == 200:
            return answer
        return Answer(strike.status, strike.message, errors=strike.errors)

    def _answer(
        self, request: Request, parameters: Mapping[str, str], headers: Headers, upload: bytes
    ) -> Answer:
        with self.world.lock:
            self.world.tasks.settle()
            try:
                data = self._handle(request, parameters, headers, upload)
            except ApiError as error:
                return Answer(error.status, error.message.splitlines()[0], errors=error.errors)
            self.world.tasks.settle()
            return Answer(200, "OK", data)

    def _handle(
        self, request: Request, parameters: Mapping[str, str], headers: Headers, upload: bytes
    ) -> Any:
        caller = Caller("")
        if (request.method, request.path) != ("POST", "/access/ticket"):
            caller = self.world.access.caller_of(
                request.method, headers.authorization, headers.cookie, headers.csrf
            )
        request.user = str(caller)
        route, in_path = self._route(request.method, request.path)
        if caller.token and not route.endpoint.allows_token:
            text = f"URI '{request.path}' not available with API token, need proper ticket."
            raise ApiError(403, f"Permission check failed ({text})")
        twice = {key: "duplicate parameter (already defined in URI)" for key in parameters if key in in_path}
        if any(parameters[key] != in_path[key] for key in twice):
            raise ApiError(400, "Parameter verification failed.", twice)
        given = {**parameters, **in_path}
        self._check(route.endpoint.permission, caller, given)
        self._reach(in_path.get("node", ""))
        values = parse_all(route.endpoint.parameters, given)
        call = Call(self.world, caller, values, upload)
        return answers.of[f"{route.method} {route.template}"](call)

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        for route in self._routes:
            found = route.pattern.fullmatch(path) if route.method == method else None
            if found:
                return route, found.groupdict()
        raise ApiError(501, f"Method '{method} {path}' not implemented")

    def _reach(self, node: str) -> None:
        held = self.world.nodes.get(node)
        if held is not None and held.down:
            raise ApiError(595, "No route to host")
        if node in self.world.other_names:
            raise ApiError(596, "error:0A000086:SSL routines::certificate verify failed")

    def _check(self, permission: Permission, caller: Caller, given: Mapping[str, str]) -> None:
        """Raise `ApiError` 403 for a permission that is missing."""
        if not permission:
            return
        kind, *rest = permission
        if kind == "and":
            for part in rest:
                self._check(part, caller, given)
        elif kind == "or":
            self._one_of(rest, caller, given)
        else:
            self._perm(rest, caller, given)

    def _one_of(self, parts: list[Permission], caller: Caller, given: Mapping[str, str]) -> None:
        refusals = []
        for part in parts:
            try:
                return self._check(part, caller, given)
            except ApiError as error:
                refusals.append(error)
        raise refusals[0]

    def _perm(self, words: list[Any], caller: Caller, given: Mapping[str, str]) -> None:
        template, privileges, *options = words
        path = re.sub(r"\{(\w+)\}", lambda found: given.get(found[1], ""), template)
        if "require_param" in options and options[options.index("require_param") + 1] not in given:
            raise forbidden(path, *privileges)
        call = Call(self.world, caller, given)
        call.require(path, *privileges, any_of="any" in options)


def _public(parameters: Mapping[str, str]) -> dict[str, str]:
    """Parameters as the journal keeps them: no password."""
    return {key: "***" if key in ("password", "cipassword") else value for key, value in parameters.items()}


def offered(major: int) -> dict[str, Endpoint]:
    """Endpoints of a version that have an answer."""
    return {f"{route.method} {route.template}": route.endpoint for route in routes(major)}
