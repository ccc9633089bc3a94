# SPDX-License-Identifier: Apache-2.0
"""Named limits: each constant of a limits.hpp says what it bounds and, after "Policy:", what happens there.
docs/limits.md is made from these comments, and is a finding when it is not what they say."""

import pathlib
import re

from velo_tidy.source import Finding, Source

PAGE = "docs/limits.md"
_POLICY = "Policy:"
_CONSTANT = re.compile(r"^(?:inline )?constexpr (?P<type>[\w:]+) (?P<name>\w+) = (?P<value>[^;]+);", re.MULTILINE)
_NAMESPACE = re.compile(r"^namespace ([\w:]+) \{", re.MULTILINE)
_DURATION = re.compile(r"std::chrono::(\w+)\((\d[\d' *]*)\)")
_SUM = re.compile(r"\d+(?: *(?:<<|\*|\+|-|/) *\d+)*")
_SECONDS = {"hours": 3600, "minutes": 60, "seconds": 1}
_OPENING = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# Limits

Everything that velo queues, keeps or waits for is bounded. This page is made from the `limits.hpp` of each room by
`tools/tidy --limits`, and `tools/tidy` refuses the tree when the two differ.

How memory is shared out is explained in `<velo/base/budget.hpp>`: each queued byte is charged to its node's budget, and a
holder may grow to a quarter of what is free to it, so that *n* greedy peers get 1/(*n* + 3) of the budget each and something
is left for everybody else.
"""


class Limit:
    def __init__(self, source, match):
        self.line = source.line_of(match.start())
        self.name = match["name"]
        self.value = shown(match["value"], self.name)
        comment = _comment_above(source.lines, self.line - 1)
        self.meaning, mark, self.policy = (part.strip() for part in comment.partition(_POLICY))
        self.complete = bool(self.meaning and mark and self.policy)


def _comment_above(lines, index):
    """The `///` lines directly above line number `index` (from 0), as one text."""
    words = []
    while index > 0 and lines[index - 1].lstrip().startswith("///"):
        index -= 1
        words.insert(0, lines[index].strip().removeprefix("///").strip())
    return " ".join(words)


def shown(value, name):
    """The value of a constant for people: `std::size_t{64} << 20` of a name with `bytes` is 64 MiB."""
    value = " ".join(value.split())
    duration = _DURATION.fullmatch(value)
    if duration:
        unit, count = duration[1], _evaluated(duration[2].replace("'", ""))
        if unit in ("milliseconds", "microseconds"):
            return f"{count} {'ms' if unit == 'milliseconds' else 'us'}"
        seconds = count * _SECONDS[unit]
        for size, shown_unit, least in ((86400, "days", 2), (3600, "h", 1), (1, "s", 0)):
            if seconds % size == 0 and seconds // size >= least:
                return f"{seconds // size:,} {shown_unit}"
    plain = re.sub(r"std::\w+\{([\d']+)\}", r"\1", value).replace("'", "")
    if not _SUM.fullmatch(plain):
        return f"`{value}`"
    number = _evaluated(plain)
    if "bytes" not in name:
        return f"{number:,}"
    for size, unit in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if number >= size and number % size == 0:
            return f"{number // size} {unit}"
    return f"{number:,} bytes"


def _evaluated(text):
    """`text` holds numbers and shifts, products and sums only; precedence as in C++."""
    terms = [int(text.split()[0])]
    tokens = re.findall(r"<<|[*+/-]|\d+", text)
    shift = 0
    for operator, number in zip(tokens[1::2], map(int, tokens[2::2])):
        if operator == "<<":
            shift += number
        elif operator in "*/":
            terms[-1] = terms[-1] * number if operator == "*" else terms[-1] // number
        else:
            terms.append(number if operator == "+" else -number)
    return sum(terms) << shift


def is_limits(path):
    return path.startswith("src/") and path.endswith("/limits.hpp")


def limits_of(source):
    return [Limit(source, match) for match in _CONSTANT.finditer(source.text)]


def page(sources):
    """The text of docs/limits.md: a table for each header, in the order of their paths."""
    parts = [_OPENING]
    for source in sorted(sources, key=lambda one: one.path):
        header = source.path.split("/include/")[-1]
        namespace = _NAMESPACE.search(source.text)
        parts.append(f"\n## `{namespace[1] if namespace else header}`\n\n`<{header}>`\n\n")
        parts.append("| limit | value | what it bounds | when it is reached |\n| --- | --- | --- | --- |\n")
        for limit in limits_of(source):
            cells = (f"`{limit.name}`", limit.value, limit.meaning, limit.policy)
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(parts)


def check(root, paths):
    """Constants without a policy, and a page that is not what the headers say."""
    sources = [Source.read(root, path) for path in paths if is_limits(path)]
    for source in sources:
        for limit in limits_of(source):
            if not limit.complete:
                yield Finding(
                    source.path,
                    limit.line,
                    f'{limit.name}: its comment says what it bounds, then "Policy:" and what happens when it is reached',
                )
    written = pathlib.Path(root) / PAGE
    if sources and (not written.is_file() or written.read_text(encoding="utf-8") != page(sources)):
        yield Finding(PAGE, 1, "is not what the limits.hpp say: run `tools/tidy --limits`")


def write(root, paths):
    sources = [Source.read(root, path) for path in paths if is_limits(path)]
    (pathlib.Path(root) / PAGE).write_text(page(sources), encoding="utf-8")
