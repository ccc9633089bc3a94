# SPDX-License-Identifier: Apache-2.0
"""A file as the checks see it: its text, the same text without comments and literals, and findings in it."""

import dataclasses
import functools
import pathlib
import re

CPP_SUFFIXES = (".cpp", ".hpp")

# One alternative per thing that must not be read as code. Raw strings come first: they may contain the others.
_NOT_CODE = re.compile(
    r'R"(?P<mark>[^()\\\s]{0,16})\((?:.|\n)*?\)(?P=mark)"'
    r"|//[^\n]*"
    r"|/\*(?:.|\n)*?\*/"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|(?<![0-9A-Fa-f])'(?:[^'\\\n]|\\.)*'"
)
_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    path: str
    line: int
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}"


@dataclasses.dataclass(frozen=True)
class Include:
    line: int
    target: str
    angled: bool


class Source:
    """One file of the tree; `path` is relative to the root, with slashes."""

    def __init__(self, path, text):
        self.path = path
        self.text = text

    @classmethod
    def read(cls, root, path):
        data = (pathlib.Path(root) / path).read_bytes()
        return cls(path, data.decode("utf-8", errors="replace"))

    @property
    def is_cpp(self):
        return self.path.endswith(CPP_SUFFIXES)

    @property
    def is_header(self):
        return self.path.endswith(".hpp")

    @property
    def is_test(self):
        """Tests, and what only tests link: conformance suites and test support."""
        return (
            self.path.endswith("_test.cpp")
            or self.path.startswith("tests/")
            or "/conformance/" in self.path
            or "/testing/" in self.path
        )

    @functools.cached_property
    def lines(self):
        return self.text.splitlines()

    @functools.cached_property
    def code(self):
        """The text with comments and literals blanked; every line stays where it was."""
        return _NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), self.text)

    @functools.cached_property
    def includes(self):
        found = []
        for match in _INCLUDE.finditer(self.text):
            line = self.text.count("\n", 0, match.start(1)) + 1
            found.append(Include(line, match.group(2), match.group(1) == "<"))
        return found

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def finding(self, line, message):
        return Finding(self.path, line, message)
