# SPDX-License-Identifier: Apache-2.0
"""A node's metrics as a scraper sees them, and what Prometheus' own checker says of them."""

import json
import shutil
import subprocess
import unittest
import urllib.error
import urllib.request

from program import PATIENCE, ProgramTest


class MetricsOfANode(ProgramTest):
    def setUp(self):
        super().setUp()
        self.folder = self.scratch / "peers"
        self.folder.mkdir()
        node = self.start("echo", "-d", self.folder, "-o", "json", "--metrics", "127.0.0.1:0")
        self.url = json.loads(node.stdout.readline())["metrics"]

    def page(self):
        with urllib.request.urlopen(self.url, timeout=PATIENCE) as answer:
            self.assertEqual(answer.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
            return answer.read().decode()

    def requests(self):
        lines = [line for line in self.page().splitlines() if line.startswith("velo_requests_total")]
        self.assertTrue(lines)
        return sum(int(line.split()[-1]) for line in lines)

    def test_calls_are_counted(self):
        before = self.requests()
        for _ in range(3):
            code, _, err = self.run_velo("call", "echo", "--raw", "hello", "-d", self.folder)
            self.assertEqual((code, err), (0, ""))
        self.assertEqual(self.requests() - before, 3)

    def test_events_are_there_too(self):
        self.assertRegex(self.page(), '(?m)^velo_events_pending\\{node="[0-9a-f-]{36}"\\} 0$')

    def test_handlers_are_timed_from_a_microsecond_on(self):
        code, _, err = self.run_velo("call", "echo", "--raw", "hello", "-d", self.folder)
        self.assertEqual((code, err), (0, ""))
        of_echo = [line for line in self.page().splitlines() if 'handler="echo"' in line]
        counts = [line for line in of_echo if line.startswith("velo_messenger_handler_duration_seconds_count")]
        self.assertEqual([line.split()[-1] for line in counts], ["1"])
        bounds = [float(line.split('le="')[1].split('"')[0]) for line in of_echo
                  if line.startswith("velo_messenger_handler_duration_seconds_bucket") and "+Inf" not in line]
        self.assertLess(min(bounds), 2e-6)

    def test_there_is_nothing_else_to_see(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(self.url.replace("/metrics", "/"), timeout=PATIENCE)
        self.assertEqual(caught.exception.code, 404)
        caught.exception.close()

    def test_prometheus_own_checker_has_no_complaint(self):
        if shutil.which("promtool") is None:
            self.skipTest("promtool is not installed (Debian's package prometheus)")
        checked = subprocess.run(["promtool", "check", "metrics"], input=self.page(), text=True,
                                 capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))

    def test_beyond_this_host_only_when_asked_for(self):
        self.assert_fails(1, "allow_plaintext_beyond_loopback", "echo", "-d", self.folder, "--metrics", "0.0.0.0:0")


if __name__ == "__main__":
    unittest.main(verbosity=2)
