#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/seeds finds what is wrong with a page of docs/seeds."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True
TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "seeds"
loader = importlib.machinery.SourceFileLoader("seeds", str(TOOL))
seeds = importlib.util.module_from_spec(importlib.util.spec_from_loader("seeds", loader))
loader.exec_module(seeds)

PAGE = """# A seed

Lines: 7. Blank: 2, 4.

| lines | what they promise | shown by |
| --- | --- | --- |
| 1 | the name | heading |
| 3 | It works | `Suite.ItWorks`, `integration.examples` (small) |
| 3 | It works elsewhere | `Suite.ItWorks`; not yet: there is no elsewhere |
| 5-6 | It is otherwise | [0001](../decisions/0001-otherwise.md) |
| 7 | end of code | fence |

## Not yet

- 3: elsewhere
"""


def complaints(before="", after=""):
    assert before in PAGE
    return seeds.complaints("page", PAGE.replace(before, after) if before else PAGE, {"0001-otherwise.md"}, {"small"})


class Seeds(unittest.TestCase):
    def assert_one(self, found, part):
        self.assertEqual(len(found), 1, found)
        self.assertIn(part, found[0])

    def test_a_whole_page_is_fine(self):
        self.assertEqual(complaints(), [])

    def test_a_line_without_a_row_is_found(self):
        self.assert_one(complaints("| 5-6 |", "| 5 |"), "no row for lines [6]")

    def test_a_row_of_no_line_is_found(self):
        self.assert_one(complaints("| 7 | end of code | fence |", "| 7 | x | fence |\n| 8 | y | fence |"), "no such lines")
        self.assert_one(complaints("| 7 | end of code | fence |", "| 7 | x | fence |\n| 4 | y | fence |"), "blank")

    def test_a_row_that_shows_nothing_is_found(self):
        self.assert_one(complaints("`Suite.ItWorks`, `integration.examples` (small)", "it is obvious"), "neither test")
        self.assert_one(complaints("| It works |", "| |"), "promises nothing")

    def test_form_is_of_one_line(self):
        self.assert_one(complaints("[0001](../decisions/0001-otherwise.md)", "fence"), "line by line")

    def test_a_decision_or_an_example_that_is_not_there_is_found(self):
        self.assert_one(complaints("decisions/0001-otherwise.md", "decisions/0002-gone.md"), "no decision")
        self.assert_one(complaints("(small)", "(large)"), "no example")

    def test_what_is_not_yet_there_is_listed(self):
        self.assert_one(complaints("- 3: elsewhere\n", ""), "Not yet")
        self.assert_one(complaints("; not yet: there is no elsewhere", ""), "Not yet")
        self.assert_one(complaints("not yet: there is no elsewhere", "not yet:"), "Not yet")

    def test_a_page_says_how_long_the_seed_is(self):
        self.assert_one(complaints("Lines: 7.", "Long."), "how many lines")

    def test_tests_are_found_in_a_row(self):
        row = seeds.rows_of(PAGE)[1]
        self.assertEqual(row.tests, [("Suite.ItWorks", ""), ("integration.examples", "small")])
        self.assertTrue(seeds.made_by_googletest("Suite.ItWorks"))
        self.assertFalse(seeds.made_by_googletest("integration.examples"))


if __name__ == "__main__":
    unittest.main(argv=["seeds_test"])
