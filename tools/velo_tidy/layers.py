# SPDX-License-Identifier: Apache-2.0
"""The direction of includes between rooms, from layers.toml."""

import re
import tomllib

_ROOM_INCLUDE = re.compile(r"^velo/(?P<room>[a-z0-9_]+)/(?P<rest>.+)$")
_BACKEND = re.compile(r"^backends/(?P<name>[a-z0-9_]+)")
_SOURCE = re.compile(r"^src/(?P<room>[a-z0-9_]+)/(?:backends/(?P<backend>[a-z0-9_]+)/)?")


class Layers:
    def __init__(self, table, facade_headers=()):
        self._rooms = table["rooms"]
        # <velo/x.hpp> names no room: these headers belong to the facade.
        self._facade = "velo"
        self._facade_headers = set(facade_headers)

    @classmethod
    def load(cls, path):
        with open(path, "rb") as file:
            return cls(tomllib.load(file))

    @property
    def rooms(self):
        return set(self._rooms)

    def check(self, source):
        place = _SOURCE.match(source.path)
        if not source.is_cpp or not place:
            return
        room, backend = place["room"], place["backend"]
        if room not in self._rooms:
            yield source.finding(1, f"src/{room} is not in tools/layers.toml: every room names what it may include")
            return
        for include in source.includes:
            message = self._judge(source, room, backend, include.target)
            if message:
                yield source.finding(include.line, message)

    def _judge(self, source, room, backend, target):
        if target.startswith("../") or "/../" in target:
            return f"\"{target}\" leaves its directory: include public headers as <velo/ROOM/...>"
        other, other_backend = self._owner(target)
        if other is None:
            return None
        entry = self._rooms[room]
        if other == room:
            if other_backend and other_backend != backend and not source.is_test:
                return f"<{target}>: backends never include each other, and their room does not know them"
            return None
        allowed = list(entry["product"])
        if source.is_test:
            allowed += entry.get("tests", [])
        if other not in allowed:
            return (
                f"<{target}>: layer violation: {room} may include {_listed(allowed)}, not {other}; take a value, "
                "a callback or an interface of a lower room instead"
            )
        if other_backend and not source.is_test and not entry.get("backends", False):
            return f"<{target}>: only facades, programs and tests name a backend; use the contract of {other}"
        return None

    def _owner(self, target):
        match = _ROOM_INCLUDE.match(target)
        if match and match["room"] in self._rooms:
            backend = _BACKEND.match(match["rest"])
            return match["room"], backend["name"] if backend else None
        if re.match(r"^velo/[a-z0-9_]+\.hpp$", target):
            return self._facade, None
        return None, None


def _listed(rooms):
    return ", ".join(rooms) if rooms else "no other room"
