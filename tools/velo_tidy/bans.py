# SPDX-License-Identifier: Apache-2.0
"""Banned words with their replacement, from bans.toml, and the two bans that need a look around the word."""

import re
import tomllib


class Ban:
    def __init__(self, entry):
        unknown = set(entry) - {"name", "pattern", "in", "where", "except", "instead"}
        if unknown:
            raise ValueError(f"ban {entry.get('name')}: unknown keys {sorted(unknown)}")
        self.name = entry["name"]
        self._pattern = re.compile(entry["pattern"])
        self._part = entry.get("in", "code")
        self._where = [re.compile(pattern) for pattern in entry.get("where", [""])]
        self._except = [re.compile(pattern) for pattern in entry.get("except", [])]
        self._instead = entry["instead"]

    def applies_to(self, path):
        return any(w.match(path) for w in self._where) and not any(e.match(path) for e in self._except)

    def check(self, source):
        if not self.applies_to(source.path):
            return
        if self._part == "include":
            hits = [(include.line, include.target) for include in source.includes]
            hits = [(line, target) for line, target in hits if self._pattern.search(target)]
        else:
            text = source.text if self._part == "text" else source.code
            hits = [(source.line_of(match.start()), match.group().strip()) for match in self._pattern.finditer(text)]
        for line, word in hits:
            yield source.finding(line, f"banned ({self.name}): `{' '.join(word.split())}`; {self._instead}")


class Bans:
    def __init__(self, table):
        self._bans = [Ban(entry) for entry in table["ban"]]

    @classmethod
    def load(cls, path):
        with open(path, "rb") as file:
            return cls(tomllib.load(file))

    def check(self, source):
        if not source.is_cpp:
            return
        for ban in self._bans:
            yield from ban.check(source)
        yield from shared_from_this_has_a_reason(source)


def shared_from_this_has_a_reason(source):
    """An object that keeps itself alive has no owner to ask, so each such class says why in a comment."""
    for match in re.finditer(r"\b(enable_shared_from_this)\s*<", source.code):
        line = source.line_of(match.start())
        if not any("// why:" in text for text in source.lines[max(0, line - 3) : line]):
            yield source.finding(line, f"`{match.group(1)}` needs a `// why:` comment just above: who else could own it?")
