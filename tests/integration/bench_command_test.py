# SPDX-License-Identifier: Apache-2.0
"""`velo bench`: what it prints and what it refuses. No duration is judged."""

import re
import unittest

import program

BRIEF = ("--rounds", 2, "--seconds", 0.02)


class BenchCommand(program.ProgramTest):
    def assert_consistent(self, shown):
        self.assertEqual(len(shown["rounds"]), 2)
        ratios = sorted(each["ratio"] for each in shown["rounds"])
        self.assertEqual(shown["ratio"], ratios[len(ratios) // 2])
        for each in shown["rounds"]:
            self.assertAlmostEqual(each["ratio"], each["ours"] / each["floor"], delta=0.01 * each["ratio"] + 1e-4)
        self.assertEqual(
            set(shown["machine"]), {"processor", "processors", "kernel", "compiler", "build", "load_before"}
        )

    def test_round_trips_over_each_transport(self):
        for transport in ("tcp", "uds", "inproc"):
            with self.subTest(transport):
                processes = [] if transport == "inproc" else ["--two-process"]
                shown = self.run_json("bench", "latency", "--transport", transport, "--size", 64, *processes, *BRIEF)
                self.assert_consistent(shown)
                self.assertEqual((shown["transport"], shown["payload_bytes"], shown["unit"]), (transport, 64, "us"))
                self.assertEqual(shown["two_processes"], transport != "inproc")
                self.assertTrue(shown["one_processor"])
                for side in ("ours", "floor"):
                    values = [shown["percentiles"][side][name] for name in ("p50", "p90", "p99", "p99_9", "max")]
                    self.assertEqual(values, sorted(values))
                    self.assertEqual(values[0], shown[side])
                self.assertEqual(shown["ratio"], shown["percentiles"]["ratio"]["p50"])
                rows = shown["histogram"]
                self.assertTrue(all(row["to"] == after["from"] for row, after in zip(rows, rows[1:])))
                self.assertGreater(sum(row["ours"] for row in rows), 0)

    def test_throughput_of_calls_and_of_one_way_messages(self):
        for more, shape, outstanding in (
            (["--outstanding", 16], "pipeline", 16),
            (["--one-way"], "one_way", 256),
            (["--one-way", "--transport", "uds", "--size", "1k"], "one_way", 256),
            (["--transport", "inproc"], "pipeline", 64),
            (["--one-process", "--pin"], "pipeline", 64),
        ):
            with self.subTest(more):
                shown = self.run_json("bench", "throughput", *more, *BRIEF)
                self.assert_consistent(shown)
                self.assertEqual((shown["shape"], shown["outstanding"]), (shape, outstanding))
                self.assertEqual(shown["unit"], "messages/s")
                megabytes = shown["ours"] * shown["payload_bytes"] / 1e6
                self.assertAlmostEqual(shown["megabytes_per_second"]["ours"], megabytes, delta=0.001 * megabytes)

    def test_the_floor_alone_has_no_ratio(self):
        for more, unit in (([], "us"), (["--outstanding", 8], "messages/s"), (["--one-way"], "messages/s")):
            with self.subTest(more):
                shown = self.run_json("bench", "floor", *more, *BRIEF)
                self.assertEqual((shown["ours"], shown["ratio"], shown["unit"]), (None, None, unit))
                self.assertGreater(shown["floor"], 0)

    def test_a_blocking_caller_and_a_spawned_handler(self):
        shown = self.run_json("bench", "latency", "--blocking", "--spawn", *BRIEF)
        self.assertEqual(shown["shape"], "rtt_caller")

    def test_people_get_a_table_and_a_histogram(self):
        code, out, err = self.run_velo("bench", "latency", *BRIEF)
        self.assertEqual(code, 0, err)
        self.assertTrue(out.startswith("round trip: tcp, 64 B, two processes on one processor; 2 rounds of 0.02 s"))
        for pattern in (r"^p50 +[\d.]+ [num]+s +[\d.]+ [num]+s +[\d.]+$", r"^ +[\d.]+ us   #+ .* %$", r"^ratio of each"):
            self.assertRegex(out, re.compile(pattern, re.MULTILINE))
        self.assertNotIn("\r", err, "progress is for terminals")

    def test_what_cannot_be_measured_is_refused(self):
        for pattern, *arguments in (
            ("transport", "latency", "--transport", "pigeon"),
            ("--size does not fit", "latency", "--size", "16m"),
            ("--size does not fit", "latency", "--size", "-1"),
            ("--outstanding 0", "throughput", "--outstanding", 0),
            ("--outstanding 65536", "throughput", "--outstanding", 65536),
            ("more than a connection takes", "throughput", "--size", "1m", "--outstanding", 64),
            ("one process", "latency", "--transport", "inproc", "--two-process"),
            ("--spawn", "throughput", "--one-way", "--spawn"),
            ("rounds", "latency", "--rounds", 0),
            ("seconds", "latency", "--seconds", 31),
            ("pin", "latency", "--pin", "--no-pin"),
            ("samples", "latency", "--samples", "/nowhere/at/all"),
            ("subcommand",),
        ):
            with self.subTest(arguments):
                self.assert_fails(2, pattern, "bench", *arguments)

    def test_nothing_is_left_behind(self):
        self.run_json("bench", "throughput", "--transport", "uds", *BRIEF)
        self.assert_nothing_left()


if __name__ == "__main__":
    unittest.main()
