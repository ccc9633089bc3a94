# SPDX-License-Identifier: Apache-2.0
"""`velo top` and `velo drain` with running instances."""

import json
import signal
import subprocess
import unittest

from program import BIN, PATIENCE, ProgramTest, wait_until


class Watched(ProgramTest):
    def setUp(self):
        super().setUp()
        self.folder = self.scratch / "peers"
        self.folder.mkdir()

    def echo(self, *more):
        process = self.start("echo", "-d", self.folder, "-o", "json", *more)
        return process, json.loads(process.stdout.readline())["serving"]

    def top(self, *more):
        return self.run_json("top", "-d", self.folder, "--interval", "50ms", *more)["instances"]

    def call(self, name, *more):
        return self.run_velo("call", "echo", "--raw", "x", "-d", self.folder, "--peer", name, *more)


class Top(Watched):
    def test_one_sample_has_what_an_operator_needs(self):
        _, name = self.echo()
        for _ in range(3):
            self.assertEqual(self.call(name)[0], 0)
        (seen,) = self.top()
        self.assertEqual((seen["instance"], seen["error"], seen["phase"]), (name, "", "serving"))
        self.assertEqual(seen["request_ends"]["succeeded"], 3)
        self.assertEqual(seen["requests_running"], 0)
        self.assertGreater(seen["interval_seconds"], 0)
        self.assertGreater(seen["memory_max"], seen["memory_used"])
        self.assertEqual(set(seen["fates"]),
                         {"written", "acknowledged", "handled", "rejected", "expired", "cancelled", "unknown"})
        (peer,) = [each for each in seen["peers"] if each["transports"]]
        self.assertEqual(peer["queued_bytes"], 0)

    def test_rates_and_latencies_of_a_busy_instance(self):
        _, last = self.chained()
        process, busy = self.chained(last)
        process.stdin.write(b"200\n")
        process.stdin.flush()
        wait_until(lambda: self.node(busy)["fates"]["handled"] >= 200, "it has called")
        calls, served = self.node(busy), self.node(last)
        self.assertGreater(calls["calls"]["p50_us"], 0)
        self.assertGreaterEqual(calls["calls"]["p99_us"], calls["calls"]["p50_us"])
        self.assertGreater(served["requests"]["p99_us"], 0)
        self.assertEqual(served["request_ends"]["succeeded"], 200)

    def node(self, name):
        (seen,) = self.top(name)
        return seen

    def chained(self, *following):
        process = subprocess.Popen([BIN / "velo_trace_node", self.folder, *following], env=self.environment,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(self._end, process)
        self.addCleanup(process.stdin.close)
        return process, process.stdout.readline().decode().split()[0]

    def test_tables_until_a_signal(self):
        _, name = self.echo()
        top = self.start("top", "-d", self.folder, "--interval", "20ms")
        lines = [top.stdout.readline().decode() for _ in range(12)]
        self.assertRegex(lines[0], r"\AINSTANCE +PHASE +PEERS +CALLS/S +P50 / P99 +SERVED/S")
        self.assertTrue([line for line in lines if line.startswith(name[:12]) and "serving" in line], lines)
        self.assertTrue([line for line in lines if line.startswith("requests ")], lines)
        top.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(top)[0], 0)

    def test_nobody_there(self):
        self.assert_fails(3, "nobody like that", "top", "-d", self.folder, "-o", "json")


class Drain(Watched):
    def test_a_drained_instance_ends_well(self):
        process, name = self.echo()
        self.assertEqual(self.call(name)[0], 0)
        drained = self.run_json("drain", "-d", self.folder, "--peer", name)
        self.assertEqual((drained["instance"], drained["in_time"], drained["running"]), (name, True, 0))
        code, out, err = self.finish(process)
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(json.loads(out)["succeeded"], 1)
        code, _, err = self.call(name)
        self.assertEqual(code, 3, err)

    def test_only_one_that_is_there(self):
        self.assert_fails(3, "nobody is announced", "drain", "-d", self.folder)

    def test_whom_the_rules_leave_out_drains_nothing(self):
        rules = self.scratch / "rules.json"
        rules.write_text(json.dumps(
            {"rules": [{"deny": "_drain", "who": ["anyone"]}]}))
        process, name = self.echo("--access", rules)
        code, out, err = self.run_velo("drain", "-d", self.folder, "--peer", name)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("permission_denied", err)
        self.assertIsNone(process.poll())
        self.assertEqual(self.call(name)[0], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
