#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev check` refuses what the house forbids, and says what to do instead."""

import sys
import unittest

sys.dont_write_bytecode = True
from copied_tree import CopiedTree  # noqa: E402


class Refused(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = CopiedTree()
        cls.addClassCleanup(cls.tree.close)

    def assert_refused(self, path, body, *words):
        written = self.tree.write(path, body)
        try:
            status, output = self.tree.run("./dev", "check", "tidy")
        finally:
            written.unlink()
        self.assertNotEqual(status, 0, output)
        complaints = [line for line in output.splitlines() if line.startswith(path)]
        self.assertTrue(complaints, output)
        for word in words:
            self.assertTrue(any(word in line for line in complaints), (word, complaints))

    def test_the_tree_as_it_is_is_accepted(self):
        status, output = self.tree.run("./dev", "check", "tidy")
        self.assertEqual(status, 0, output)

    def test_a_layering_violation(self):
        header = self.tree.first_header("messenger")
        self.assert_refused(
            "src/transport/src/upward.cpp", f"#include <{header}>\n", "layer violation", "not messenger", "instead"
        )

    def test_a_sleep_in_a_test(self):
        body = "#include <thread>\nvoid wait() { std::this_thread::sleep_for(std::chrono::seconds(1)); }\n"
        self.assert_refused("src/messenger/src/sleepy_test.cpp", body, "banned (sleep)", "waits on a condition")

    def test_a_clock_read_in_a_core(self):
        body = "#include <chrono>\nauto now() { return std::chrono::steady_clock::now(); }\n"
        self.assert_refused("src/messenger/src/timed.cpp", body, "banned (clock)", "World's clock")

    def test_a_file_of_900_lines(self):
        body = "\n".join(f"int value_{number} = {number};" for number in range(898)) + "\n"
        self.assert_refused("src/codec/src/endless.cpp", body, "900 lines", "split the file")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
