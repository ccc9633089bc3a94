# SPDX-License-Identifier: Apache-2.0
"""What a compilation database says: the units to lint, the files each consists of, and a key for what was clean."""

import dataclasses
import functools
import hashlib
import json
import pathlib
import re

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
_GENERATED = ("_verify_interface_header_sets", "velo_pch", "cmake_pch")


@dataclasses.dataclass(frozen=True)
class Unit:
    """One entry of the compilation database; a unity source stands for several files of the tree."""

    path: pathlib.Path
    command: str


def load(build):
    """The units of a build directory, without those that the build makes up to test headers."""
    entries = json.loads((pathlib.Path(build) / "compile_commands.json").read_text(encoding="utf-8"))
    units = []
    for entry in entries:
        path = pathlib.Path(entry["directory"]) / entry["file"]
        if not any(part in str(path) for part in _GENERATED):
            units.append(Unit(path, entry.get("command") or " ".join(entry["arguments"])))
    return sorted(units, key=lambda unit: str(unit.path))


class Closure:
    """Which files of the tree a source includes, directly or not. Conditions are ignored: too many is harmless."""

    def __init__(self, root):
        self._root = pathlib.Path(root)
        self._public = {}
        for pattern in ("src/**/include/velo/**/*.hpp", "tests/**/include/velo/**/*.hpp"):
            for header in self._root.glob(pattern):
                name = str(header)[str(header).rindex("/include/velo/") + len("/include/") :]
                self._public[name] = header

    def of(self, path):
        seen, pending = set(), [pathlib.Path(path)]
        while pending:
            current = pending.pop()
            if current not in seen:
                seen.add(current)
                pending.extend(self._included_by(current))
        return seen

    @functools.lru_cache(maxsize=None)
    def _included_by(self, path):
        found = []
        for kind, target in _INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
            if target in self._public:
                found.append(self._public[target])
            elif kind == '"' and (path.parent / target).is_file():
                found.append((path.parent / target).resolve())
        return tuple(found)


def members(unit, closure):
    """The sources of the tree in this unit: itself, or what a unity source includes."""
    if "/Unity/" in str(unit.path):
        return sorted(path for path in closure.of(unit.path) if path.suffix == ".cpp")
    return [unit.path]


def key(unit, closure, settings):
    """Changes whenever the settings, the command or any file of the tree that the unit includes changes."""
    digest = hashlib.sha256()
    digest.update(settings.encode() + b"\0" + unit.command.encode())
    for path in sorted(closure.of(unit.path)):
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
