# SPDX-License-Identifier: Apache-2.0
"""`velo bench soak`: a short one with faults. What it found is judged, never how fast it was."""

import signal
import unittest

import program

KINDS = ["call", "ack", "event", "stream", "transfer", "item"]


class BenchSoak(program.ProgramTest):
    def test_ten_seconds_of_faults_leave_everything_right(self):
        shown = self.run_json("bench", "soak", "--minutes", 10 / 60, "--faults", "--seed", 3)
        self.assertEqual(shown["complaints"], [])
        self.assertTrue(shown["ok"])
        self.assertGreaterEqual(shown["seconds"], 10)
        for fault in ("killed", "cut", "frozen"):
            self.assertGreater(shown[fault], 0, fault)
        self.assertEqual([each["kind"] for each in shown["operations"]], KINDS)
        for each in shown["operations"]:
            self.assertGreater(each["ended_well"], 0, each)
            ended = each["ended_well"] + each["failed"] + each["cut_short"]
            self.assertEqual(each["begun"], ended, each)
        self.assertEqual([each["process"] for each in shown["memory"]], ["hub", "worker 1"])
        for each in shown["memory"]:
            self.assertGreater(each["samples"], 1)
            self.assertFalse(each["judged"], "ten seconds say nothing")
        self.assert_nothing_left()

    def test_what_the_processes_wrote_can_be_kept(self):
        folder = self.scratch / "kept"
        code, out, err = self.run_velo("bench", "soak", "--minutes", 0.05, "--keep", folder)
        self.assertEqual(code, 0, err)
        self.assertIn("begin call", (folder / "worker1").read_text())
        self.assertIn("did call", (folder / "hub").read_text())
        self.assertIn("too short to judge", out)

    def test_an_interrupt_leaves_nothing_behind(self):
        process = self.start("bench", "soak", "--minutes", 5, "--faults")
        program.wait_until(lambda: len(program.children_of(process.pid)) >= 4, "its processes run")
        process.send_signal(signal.SIGINT)
        code, out, err = self.finish(process)
        self.assertEqual((code, out), (128 + signal.SIGINT, ""), err)
        self.assert_nothing_left()

    def test_what_cannot_be_done_is_refused(self):
        self.assert_fails(2, "minutes", "bench", "soak", "--minutes", 0)
        self.assert_fails(2, "workers", "bench", "soak", "--workers", 1)


if __name__ == "__main__":
    unittest.main()
