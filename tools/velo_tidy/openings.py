# SPDX-License-Identifier: Apache-2.0
"""How files open, where README files stand, and paths that only exist on somebody's machine."""

import pathlib
import re

SPDX = "// SPDX-License-Identifier: Apache-2.0"
PURPOSE_LINES = (2, 8)
# A private header may also explain the protocol between its threads.
PRIVATE_PURPOSE_LINES = (2, 30)
README_LINES = 90

_MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(home|root|work)/[\w.]")
_UPWARD = re.compile(r"(?<![\w./])((?:\.\./)+)")
# In C++ and Python such a path is often data (a test of traversal); includes are judged by the layers.
_PATHS_MATTER = re.compile(r"\.(md|cmake|json|toml|yml|yaml|sh)$|^dev$|^\.ci/|(^|/)CMakeLists\.txt$")


def check_opening(source):
    if not source.is_cpp:
        return
    if not source.lines or source.lines[0] != SPDX:
        yield source.finding(1, f"the first line is `{SPDX}`")
        return
    comments = []
    for line in source.lines[1:]:
        if not line.startswith("//"):
            break
        comments.append(line)
    if not source.is_header:
        if not comments:
            yield source.finding(2, "the second line says in a comment what this file is for")
        return
    low, high = PURPOSE_LINES if "/include/" in source.path else PRIVATE_PURPOSE_LINES
    if not low <= len(comments) <= high:
        yield source.finding(2, f"a header opens with {low} to {high} comment lines after the licence: what it is, what it is not")
    if not any(line.startswith("// Threading:") for line in comments):
        yield source.finding(2, "a header's opening has a line that starts with `// Threading:`")
    if "#pragma once" not in source.lines:
        yield source.finding(len(comments) + 2, "a header has `#pragma once`")


def check_paths(source):
    for match in _MACHINE_PATH.finditer(source.text):
        line = source.line_of(match.start())
        yield source.finding(line, f"`{match.group()}…` exists on one machine only: paths are relative to the repository")
    if not _PATHS_MATTER.search(source.path):
        return
    depth = source.path.count("/")
    for match in _UPWARD.finditer(source.text):
        if match.group(1).count("../") > depth:
            yield source.finding(source.line_of(match.start()), f"`{match.group(1)}` leaves the repository")


def check_readmes(root, paths, finding):
    """Every room has a README of at most about a page."""
    for room in sorted({path.split("/")[1] for path in paths if path.startswith("src/") and path.count("/") >= 2}):
        readme = f"src/{room}/README.md"
        if readme not in paths:
            yield finding(readme, 1, "every room has a README: purpose, nouns, invariants, threads, limits, how to add to it")
            continue
        lines = len((pathlib.Path(root) / readme).read_text(encoding="utf-8").splitlines())
        if lines > README_LINES:
            yield finding(readme, 1, f"{lines} lines: a room's README is one page (at most {README_LINES})")
