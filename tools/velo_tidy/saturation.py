# SPDX-License-Identifier: Apache-2.0
"""docs/saturation.md: each limit of something that queues has a row there, and what it names exists."""

import pathlib
import re

from velo_tidy import limits
from velo_tidy.source import Finding, Source

PAGE = "docs/saturation.md"
# What fills up when somebody is slower than somebody else, told by the limit's name.
_FILLS_UP = re.compile(
    r"(^|_)(queued|pending|waiting|held|running|unacknowledged|depth|in_flight|items|leases|transfers|subscriptions|awaits"
    r"|unauthenticated|accepted)(_|$)|^(calls|scrape_connections|peer_bytes)_max$|^(peer_)?memory(_budget)?_bytes_default$"
)
_NAMED_LIMIT = re.compile(r"`([a-z_]+(?:::[a-z_]+)*)::([a-z0-9_]+)`")
_NAMED_METRIC = re.compile(r"\bvelo_[a-z0-9_]+\b")
_METRIC = re.compile(r'"(velo_[a-z0-9_]+)"')


def room_of(source):
    """"messenger" for velo::messenger::limits, "velo" for velo::limits."""
    namespace = re.search(r"^namespace velo::([a-z:_]*?):*limits", source.text, re.MULTILINE)
    return (namespace[1] if namespace else "") or "velo"


def check(root, paths):
    sources = [Source.read(root, path) for path in paths if limits.is_limits(path)]
    page = pathlib.Path(root) / PAGE
    if not sources or not page.is_file():
        return
    text = page.read_text(encoding="utf-8")
    rows = set(_NAMED_LIMIT.findall(text))
    known = set()
    for source in sources:
        for limit in limits.limits_of(source):
            place = (room_of(source), limit.name)
            known.add(place)
            if _FILLS_UP.search(limit.name) and place not in rows:
                yield Finding(source.path, limit.line, f"`{'::'.join(place)}` fills up: {PAGE} says how to see it, and what to do")
    metrics = set()
    for path in paths:
        if path.startswith("src/") and path.endswith((".cpp", ".hpp")) and not path.endswith("_test.cpp"):
            metrics.update(_METRIC.findall((pathlib.Path(root) / path).read_text(encoding="utf-8")))
    for number, line in enumerate(text.splitlines(), 1):
        for place in _NAMED_LIMIT.findall(line):
            if place not in known:
                yield Finding(PAGE, number, f"there is no limit `{'::'.join(place)}`")
        for name in _NAMED_METRIC.findall(line):
            if name not in metrics:
                yield Finding(PAGE, number, f"there is no metric {name}")
