#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/lint: what belongs to a unit, when it must be looked at again, and what counts as a finding."""

import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from velo_lint import units  # noqa: E402
from velo_lint.main import findings  # noqa: E402


class Units(unittest.TestCase):
    def setUp(self):
        self._directory = tempfile.TemporaryDirectory()
        self.addCleanup(self._directory.cleanup)
        self.root = pathlib.Path(self._directory.name).resolve()
        self.header = self.write("src/base/include/velo/base/a.hpp", "#include <velo/base/b.hpp>\n")
        self.deep = self.write("src/base/include/velo/base/b.hpp", "int b;\n")
        self.source = self.write("src/base/src/x.cpp", '#include <velo/base/a.hpp>\n#include "y.hpp"\n#include <vector>\n')
        self.private = self.write("src/base/src/y.hpp", "")
        self.unity = self.write("build/asan/velo.dir/Unity/unity_0_cxx.cxx", f'#include "{self.source}"\n')
        self.unit = units.Unit(self.unity, "clang++ -c")

    def write(self, path, text):
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        return full

    def test_a_closure_follows_public_and_private_headers(self):
        closure = units.Closure(self.root)
        self.assertEqual(closure.of(self.source), {self.source, self.header, self.deep, self.private})

    def test_a_unity_source_stands_for_its_members(self):
        self.assertEqual(units.members(self.unit, units.Closure(self.root)), [self.source])

    def test_the_key_changes_with_any_file_the_command_and_the_settings(self):
        def key(unit=self.unit, settings="s"):
            return units.key(unit, units.Closure(self.root), settings)

        first = key()
        self.assertEqual(first, key())
        self.assertNotEqual(first, key(settings="t"))
        self.assertNotEqual(first, key(units.Unit(self.unity, "clang++ -O2 -c")))
        self.deep.write_text("long b;\n")
        self.assertNotEqual(first, key())

    def test_generated_units_are_left_out(self):
        entries = [
            {"directory": str(self.root), "file": str(self.source), "command": "c"},
            {"directory": str(self.root), "file": "velo_base_verify_interface_header_sets/a.hpp.cxx", "command": "c"},
        ]
        (self.root / "compile_commands.json").write_text(json.dumps(entries))
        self.assertEqual([unit.path for unit in units.load(self.root)], [self.source])


class Findings(unittest.TestCase):
    def test_only_findings_are_kept(self):
        output = (
            "100 warnings generated.\nx.cpp:1:2: error: bad [check]\n  int x;\n  ^\nSuppressed 99 warnings\n"
            'Match #1:\n\nx.cpp:3:1: note: "first" binds here\n f(a)\nx.cpp:3:4: note: "two-draws" binds here\n  f(b)\n1 match.\n'
        )
        self.assertEqual(
            findings(output),
            ["x.cpp:1:2: error: bad [check]", "  int x;", "  ^", 'x.cpp:3:4: note: "two-draws" binds here', "  f(b)"],
        )


if __name__ == "__main__":
    unittest.main()
