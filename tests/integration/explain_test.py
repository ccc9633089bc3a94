# SPDX-License-Identifier: Apache-2.0
"""`velo explain path`: how one running node reaches another, and why."""

import json
import unittest

from program import ProgramTest


class ExplainPath(ProgramTest):
    def setUp(self):
        super().setUp()
        self.folder = self.scratch / "peers"
        self.folder.mkdir()
        self.ids = []
        for _ in range(2):
            process = self.start("echo", "-d", self.folder, "-o", "json")
            self.ids.append(json.loads(process.stdout.readline())["serving"])

    def test_ones_own_path_has_a_choice_and_reasons(self):
        report = self.run_json("explain", "path", "me", self.ids[0][:8], "-d", self.folder)
        self.assertEqual(report["to"], self.ids[0])
        chosen = [each for each in report["candidates"] if each["chosen"]]
        self.assertEqual([each["transport"] for each in chosen], [report["chosen"]])
        self.assertTrue(report["why"].startswith("chosen: "), report["why"])
        self.assertTrue(all(each["reason"] for each in report["candidates"]))

    def test_a_node_is_asked_how_it_reaches_another(self):
        report = self.run_json("explain", "path", self.ids[0], self.ids[1], "-d", self.folder)
        self.assertEqual((report["from"], report["to"]), tuple(self.ids))
        self.assertTrue(report["why"])

    def test_the_table_names_the_transport(self):
        code, out, err = self.run_velo("explain", "path", "me", self.ids[0], "-d", self.folder)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("TRANSPORT", out)
        self.assertIn("chosen", out)

    def test_who_is_not_there_is_a_failure(self):
        self.assert_fails(3, "no announced peer", "explain", "path", "me", "zzzz", "-d", self.folder)


if __name__ == "__main__":
    unittest.main()
