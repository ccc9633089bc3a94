# SPDX-License-Identifier: Apache-2.0
"""The printed ratios follow from the raw samples, by the program that docs/benchmarks.md shows. No duration is judged."""

import json
import re
import subprocess
import sys
import unittest

import program

PAGE = program.SOURCES / "docs/benchmarks.md"


class BenchSamples(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.samples = self.scratch / "samples.jsonl"
        (recipe,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        self.recipe = self.scratch / "recipe.py"
        self.recipe.write_text(recipe)

    def recomputed(self):
        lines = subprocess.run(
            [sys.executable, self.recipe, self.samples],
            capture_output=True,
            text=True,
            timeout=program.PATIENCE,
            check=True,
        ).stdout.splitlines()
        return {case: float(ratio) for case, ratio in (line.split() for line in lines)}

    def measure_suite(self, *arguments):
        ended = subprocess.run(
            [program.BIN / "velo_bench_messenger", "-o", "json", "--samples", self.samples, *arguments],
            env=self.environment,
            cwd=self.scratch,
            capture_output=True,
            text=True,
            timeout=program.PATIENCE,
            check=False,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return json.loads(ended.stdout)

    def test_every_ratio_of_the_suite(self):
        cases = self.measure_suite("--rounds", "1", "--seconds", "0.05")
        self.assertLessEqual(
            {"tcp_rtt_64", "tcp_rtt_64_caller", "uds_rtt_64", "tcp_pipeline_64"}, {case["case"] for case in cases}
        )
        recomputed = self.recomputed()
        self.assertEqual(set(recomputed), {case["case"] for case in cases})
        for case in cases:
            with self.subTest(case["case"]):
                self.assertEqual(set(case), {"case", "value", "unit", "floor", "ratio"})
                self.assertIn(case["unit"], ("us", "messages/s"))
                self.assertAlmostEqual(case["ratio"], recomputed[case["case"]], delta=0.0011)

    def test_the_median_of_several_rounds(self):
        (case,) = self.measure_suite("--rounds", "3", "--seconds", "0.02", "--only", "uds_rtt_64")
        self.assertEqual(len(self.samples.read_text().splitlines()), 6)
        self.assertAlmostEqual(case["ratio"], self.recomputed()["uds_rtt_64"], delta=0.0011)

    def test_the_samples_of_velo_bench(self):
        for command, transport in (("latency", "uds"), ("latency", "inproc"), ("throughput", "tcp")):
            with self.subTest((command, transport)):
                shown = self.run_json(
                    *("bench", command, "--transport", transport, "--samples", self.samples),
                    *("--rounds", 2, "--seconds", 0.02),
                )
                self.assertAlmostEqual(shown["ratio"], self.recomputed()[command], delta=0.0011)


if __name__ == "__main__":
    unittest.main()
