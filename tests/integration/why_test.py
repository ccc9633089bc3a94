# SPDX-License-Identifier: Apache-2.0
"""`velo why`: who owns an event, who awaits it, and what goes round in a circle."""

import subprocess
import unittest

from program import BIN, ProgramTest


class Why(ProgramTest):
    def setUp(self):
        super().setUp()
        self.folder = self.scratch / "peers"
        self.folder.mkdir()
        self.process = subprocess.Popen(
            [BIN / "example_event_why", self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(self.leave)
        self.handle = ""
        for line in self.process.stdout:
            if line.startswith("handle: "):
                self.handle = line.split()[1]
                break

    def leave(self):
        self.process.stdin.close()
        self.assertEqual(self.process.wait(timeout=30), 0)
        self.process.stdout.close()

    def test_the_circle_is_found_from_another_process(self):
        report = self.run_json("why", self.handle, "-d", self.folder)
        self.assertEqual([each["status"] for each in report["events"]], ["pending", "pending"])
        self.assertEqual(report["events"][0]["event"], self.handle)
        self.assertEqual(report["events"][0]["kind"], "all of")
        self.assertEqual(report["events"][0]["awaiters"], 1)
        self.assertEqual(report["events"][1]["note"], "loading begins when all is ready")
        self.assertEqual(len(report["cycles"]), 1)
        self.assertEqual(sorted(report["cycles"][0]), sorted(each["event"] for each in report["events"]))

    def test_the_table_names_the_owner(self):
        code, out, err = self.run_velo("why", self.handle, "-d", self.folder)
        self.assertEqual((code, err), (0, ""))
        self.assertIn("WAITS FOR", out)
        self.assertIn("circle: " + self.handle, out)

    def test_an_event_that_never_was_is_said_to_be_unknown(self):
        never = self.handle[:17] + "00ffffff" + self.handle[25:]
        report = self.run_json("why", never, "-d", self.folder)
        self.assertEqual(report["events"][0]["status"], "events.unknown_event")

    def test_what_is_no_handle_is_refused(self):
        self.assert_fails(2, "event handle", "why", "zzzz", "-d", self.folder)


if __name__ == "__main__":
    unittest.main()
