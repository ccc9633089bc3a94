#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that a page of docs/coverage names exists, and every row names one or points to a decision; every
fuzz target is in the table of `./dev coverage`, has a corpus, and every file of that table exists."""

import os
import pathlib
import re
import tomllib
import unittest

ROOT = pathlib.Path(os.environ.get("VELO_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))


def tests_of_the_tree():
    names = set()
    for folder in ("src", "tests", "bench"):
        for path in (ROOT / folder).rglob("*_test.cpp"):
            for suite, name in re.findall(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", path.read_text()):
                names.add(f"{suite}.{name}")
    # Of a conformance suite by its room's name: each backend runs it under one of its own.
    for path in (ROOT / "src").glob("*/conformance/src/*_scenarios.cpp"):
        suite = f"{path.parts[-4].capitalize()}Conformance"
        names.update(f"{suite}.{name}" for name in re.findall(r'\{"([A-Z]\w+)",', path.read_text()))
    return names


class Coverage(unittest.TestCase):
    def test_every_named_test_exists_and_every_row_has_one(self):
        known = tests_of_the_tree()
        pages = sorted((ROOT / "docs" / "coverage").glob("*.md"))
        self.assertTrue(pages)
        for page in pages:
            rows = [line for line in page.read_text().splitlines() if line.startswith("| ") and not line.startswith("| ---")]
            self.assertGreater(len(rows), 5, page)
            for row in rows[1:]:
                if row.startswith(("| behaviour", "| attack")):
                    continue
                named = re.findall(r"`([A-Z]\w+\.[A-Z]\w+)`", row)
                for name in named:
                    self.assertIn(name, known, f"{page.name} names a test that does not exist")
                self.assertTrue(named or "decisions/" in row, f"{page.name}: neither test nor decision: {row}")
                if page.name == "attacks.md" and not row.startswith("| attack"):
                    _, refused, bounded = row.strip("| ").split("|")
                    for cell, what in ((refused, "that refuses it"), (bounded, "of what it may hold")):
                        self.assertRegex(cell, r"`[A-Z]\w+\.[A-Z]\w+`", f"{page.name}: no test {what}: {row}")

    def test_every_fuzz_target_is_held_to_account(self):
        listed = (ROOT / "fuzz" / "CMakeLists.txt").read_text()
        targets = {path.name.removesuffix("_fuzz.cpp") for path in (ROOT / "fuzz").glob("*_fuzz.cpp")}
        self.assertGreater(len(targets), 5)
        table = tomllib.loads((ROOT / "tools" / "coverage.toml").read_text())
        named = {name for part in ("parsers", "others") for names in table[part].values() for name in names}
        self.assertEqual(named, targets, "tools/coverage.toml and the fuzz targets")
        for target in targets:
            self.assertIn(f"corpus/{target}", listed.replace("messenger_${header}", target))
            self.assertTrue(any((ROOT / "fuzz" / "corpus" / target).iterdir()), target)
        for part in ("parsers", "others", "compile_time"):
            for file in table[part]:
                self.assertTrue((ROOT / file).is_file(), file)


if __name__ == "__main__":
    unittest.main(argv=["coverage_test"])
