#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/transports.md says which conformance scenario runs over which transport in which World: the tables are made
from the sources, and this test compares. `transports_doc_test.py --write` makes them anew."""

import os
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(os.environ.get("VELO_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
PAGE = ROOT / "docs" / "transports.md"
BEGIN = "<!-- made by tests/house/transports_doc_test.py --write: {} -->"
END = "<!-- end -->"


def sentence(name):
    """"AFrameOf256KiBPasses" as words."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).split()
    return words[0] + "".join(" " + word.lower() if not word.isupper() or len(word) == 1 else " " + word for word in words[1:])


def table(rows, columns):
    """Rows of (scenario, names of the columns in which it runs)."""
    lines = ["| scenario | " + " | ".join(columns) + " |", "| --- |" + " :-: |" * len(columns)]
    for name, runs in rows:
        lines.append(f"| {sentence(name)} | " + " | ".join("✓" if column in runs else "–" for column in columns) + " |")
    return "\n".join(lines) + "\n"


def suites():
    """Column name of each register_suite: whether it is over streams, and whether it is simulated."""
    found = {}
    for path in sorted((ROOT / "src" / "transport" / "backends").glob("*/src/*_test.cpp")):
        text = path.read_text()
        for name, driver, streams in re.findall(r'register_suite\(\s*"(\w+)",(.*?)make_kit, (true|false)\)', text, re.S):
            found[re.sub(r"(?<=[a-z])(?=Real|Sim)", " ", name).lower()] = (streams == "true", "make_sim_driver" in driver)
    return found


def transport_scenarios():
    scenarios = []
    for path in sorted((ROOT / "src" / "transport" / "conformance" / "src").glob("*_scenarios.cpp")):
        scenarios += re.findall(r'\{"(\w+)",\s*(?:\w+),\s*(true|false)(?:,\s*(true|false))?\}', path.read_text())
    return scenarios


def transport_table():
    columns = suites()
    rows = []
    for name, streams, kernel in transport_scenarios():
        runs = {column for column, (over_streams, simulated) in columns.items()
                if (streams == "false" or over_streams) and not (kernel == "true" and simulated)}
        rows.append((name, runs))
    return table(rows, columns)


def messenger_table():
    text = (ROOT / "tests" / "conformance" / "messenger_conformance_test.cpp").read_text()
    names = re.findall(r"TEST_P\(MessengerConformance, (\w+)\)", text)
    kinds = re.findall(r"Kind::(\w+)", text[text.index("INSTANTIATE_TEST_SUITE_P"):])
    worlds = re.findall(r"testing::Values\((Where::.*?)\)", text, re.S)[0]
    columns = [f"{kind} {world}" for kind in dict.fromkeys(kinds) for world in re.findall(r"Where::(\w+)", worlds)]
    return table([(name, set(columns)) for name in names], columns)


def expected(page):
    for title, made in (("transport", transport_table()), ("messenger", messenger_table())):
        begin = BEGIN.format(title)
        head, rest = page.split(begin + "\n")
        page = head + begin + "\n\n" + made + "\n" + END + rest.split(END, 1)[1]
    return page


class TransportsPage(unittest.TestCase):
    def test_every_suite_runs_in_both_worlds(self):
        columns = suites()
        for backend in (path.name for path in (ROOT / "src" / "transport" / "backends").iterdir() if path.is_dir()):
            self.assertIn(f"{backend} real", columns)
            self.assertIn(f"{backend} sim", columns)
        self.assertGreaterEqual(len(transport_scenarios()), 50)

    def test_the_page_says_what_the_sources_say(self):
        page = PAGE.read_text()
        self.assertEqual(page, expected(page), "run tests/house/transports_doc_test.py --write")


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(expected(PAGE.read_text()))
    else:
        unittest.main(argv=["transports_doc_test"])
