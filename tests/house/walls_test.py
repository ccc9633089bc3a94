#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The compiler holds the walls: a header of a room that is not linked does not exist for it."""

import sys
import unittest

sys.dont_write_bytecode = True
from copied_tree import CopiedTree  # noqa: E402

COMPILER = sys.argv[1] if len(sys.argv) > 1 else "clang++-19"
PROBES = {
    # name: room that includes, room that is included
    "downward": ("codec", "base"),
    "upward": ("codec", "messenger"),
    "sibling": ("transport", "discovery"),
}


class Walls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = CopiedTree()
        cls.addClassCleanup(cls.tree.close)
        for name, (room, included) in PROBES.items():
            header = cls.tree.first_header(included)
            cls.tree.write(f"src/{room}/src/probe_{name}.cpp", f"#include <{header}>\n")
        status, output = cls.tree.run(
            "cmake", "-S", ".", "-B", "build/walls", "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={COMPILER}"
        )
        if status != 0:
            raise AssertionError(output)

    def compile(self, name):
        room = PROBES[name][0]
        directory = f"src/{room}/CMakeFiles/velo_{room}.dir/src"
        return self.tree.run("ninja", "-C", "build/walls", f"{directory}/probe_{name}.cpp.o")

    def test_a_downward_include_compiles(self):
        status, output = self.compile("downward")
        self.assertEqual(status, 0, output)

    def test_an_upward_include_does_not_compile(self):
        self.assert_missing("upward")

    def test_a_sibling_include_does_not_compile(self):
        self.assert_missing("sibling")

    def test_a_room_that_links_what_is_not_defined_before_it_does_not_configure(self):
        room = self.tree.root / "probe"
        room.mkdir()
        (room / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\n"
            "project(probe LANGUAGES CXX)\n"
            "include(../cmake/velo_room.cmake)\n"
            "velo_room(lower DEPS velo::upper)\n"
        )
        status, output = self.tree.run("cmake", "-S", "probe", "-B", "build/probe", f"-DCMAKE_CXX_COMPILER={COMPILER}")
        self.assertNotEqual(status, 0, output)
        self.assertRegex(output, r"velo::lower: velo::upper is not defined")

    def assert_missing(self, name):
        status, output = self.compile(name)
        header = self.tree.first_header(PROBES[name][1])
        self.assertNotEqual(status, 0, output)
        self.assertRegex(output, f"{header}.*(file not found|No such file)")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
