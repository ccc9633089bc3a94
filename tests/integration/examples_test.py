# SPDX-License-Identifier: Apache-2.0
"""Every example runs, ends well, prints what it promises and leaves nothing behind."""

import re
import subprocess
import unittest

import program

EXAMPLES = program.SOURCES / "examples"

# name -> runs; a run: its arguments, and patterns of which each matches one line, in this order.
RUNS = {
    "quick_start": [([], ["ping -> pong"])],
    "am_send": [([], ["sent 3, written 3", "received 3 notices, their levels add up to 6"])],
    "am_sync": [
        (
            [],
            [
                "worker: report, 2 copies",
                "client: the worker has finished",
                "client: refused, .*report has nothing to print",
            ],
        )
    ],
    "broadcast": [
        (
            [],
            [
                "answer: ant",
                r"rejected: messenger\.not_sent, it may have been handled: no",
                "answer: cat",
                "at least one answered: yes",
            ],
        )
    ],
    "send_file": [
        (
            ["--megabytes", "96"],
            [
                "offered: 96 MiB",
                "the copy is the same: yes",
                "each end took less than 64 MiB of memory: yes",
                r"afterwards: rendezvous\.unknown_handle",
            ],
        )
    ],
    "token_streaming": [([], ["7 streams, 3500 tokens"])],
    "fan_in": [([], ["300 results, their sum is 8955050", "2 finished, 1 gave up"])],
    "batched_streaming": [([], ["800 items read", "8 or more items a message on average"])],
    "unary": [([], [r"HELLO! \(5 bytes\)", "LATER", "ONE TWO THREE ?"])],
    "typed_unary": [
        (
            [],
            [r'\{"numbers":\[5,4,3\],"dropped":2\}', r"refused: messenger\.bad_request: .*numbers.*"],
        )
    ],
    "handlers": [([], ["the peer has: add echo log ping", "40 \\+ 2 = 42", "echo: hello", "log: done"])],
    "event_barrier": [
        ([], ["process [012] is through"] * 3 + ["all three have ended"]),
        (
            ["--fail"],
            ["process [012]: the barrier broke: process 2 has no paper"] * 3 + ["all three have ended"],
        ),
    ],
    "event_why": [
        (
            [],
            [
                "[0-9a-f-]{34}: all of, pending",
                "[0-9a-f-]{34}: event, pending, loading begins when all is ready",
                "1 circle of 2 events",
                "handle: [0-9a-f-]{34}",
            ],
        )
    ],
    "handler_calls_back": [
        ([], ["greet: hello, Ada", "peers: 1", "dance: I learned to dance", "again: .*dance.*"])
    ],
    "work_queue": [
        (
            [],
            [
                "60 jobs are queued",
                r"a worker was killed with job \d+ in its hands",
                r"60 done, [1-9]\d* delivered again, 0 left",
            ],
        )
    ],
    "messenger_inner": [([], ["same instance: yes", "uptime: running"])],
    "messenger_builder": [([], ["ping -> pong", "the client knows 1 peer"])],
    "peer_discovery": [([], [r"found process \d+", "it has left"])],
    "simulated_service": [
        (
            [],
            [
                "with numbers that are looked at: 0 of 50 seeds failed",
                "without: the balance is wrong after 40 deposits",
                r"one fault is enough: [0-9.]+s (reset|partition|partition_one_way|delay|loss) [01] .*",
            ],
        )
    ],
    "deadlines_and_cancel": [
        (
            [],
            [
                r"deadline: messenger\.deadline_exceeded.*",
                r"stop token: messenger\.cancelled.*",
                "dropped: the handler saw it",
            ],
        )
    ],
    "asio_coroutines": [
        ([], ["session [123]: done", "session [123]: done", "session [123]: done", "answered on this thread: 9"])
    ],
    "ping_pong": [
        (
            ["--rounds", "200", "--transport", transport, *processes],
            [
                f"200 rounds over {transport}, {'two processes' if processes else 'one process'}",
                r"rtt us: avg [0-9.]+  min [0-9.]+  max [0-9.]+",
                r"rtt us: p50 [0-9.]+  p90 [0-9.]+  p99 [0-9.]+  p99\.9 [0-9.]+",
            ],
        )
        for transport, processes in [
            ("tcp", []),
            ("uds", []),
            ("inproc", []),
            ("tcp", ["--two-process"]),
            ("uds", ["--two-process"]),
        ]
    ],
}


class Examples(program.ProgramTest):
    def setUp(self):
        super().setUp()
        # Under AddressSanitizer freed memory is kept for a while, which is no memory of the example's.
        options = self.environment.get("ASAN_OPTIONS", "")
        self.environment["ASAN_OPTIONS"] = f"{options}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64".strip(":")

    def run_example(self, name, *arguments):
        ended = subprocess.run(
            [program.BIN / f"example_{name}", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=program.PATIENCE,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    def assert_prints(self, patterns, out):
        lines = out.splitlines()
        self.assertEqual(len(lines), len(patterns), out)
        for line, pattern in zip(lines, patterns):
            self.assertRegex(line, rf"\A{pattern}\Z")

    def test_each_example_is_run_here(self):
        self.assertEqual(sorted(path.stem for path in EXAMPLES.glob("*.cpp")), sorted(RUNS))

    def test_each_example_fits_a_page_or_two(self):
        for path in EXAMPLES.glob("*.cpp"):
            with self.subTest(path.name):
                self.assertLess(len(path.read_text().splitlines()), 160)

    def test_the_code_of_the_simulation_guide_is_the_examples(self):
        def lines(text):
            return [line.strip() for line in text.strip().splitlines()]

        example = "\n".join(lines((EXAMPLES / "simulated_service.cpp").read_text()))
        guide = (program.SOURCES / "docs" / "guides" / "simulation.md").read_text()
        blocks = re.findall(r"```cpp\n(.*?)```", guide, re.DOTALL)
        self.assertGreater(len(blocks), 3)
        for block in blocks:
            self.assertIn("\n".join(lines(block)), example)

    def test_ping_pong_refuses_what_it_cannot_do(self):
        for arguments in (["--rounds", "0"], ["--transport", "pigeon"], ["--transport", "inproc", "--two-process"]):
            code, out, err = self.run_example("ping_pong", *arguments)
            self.assertEqual((code, err), (2, ""))
            self.assertRegex(out, r"\Ausage: ping_pong ")


def add_test(name, runs):
    def run_it(self):
        for arguments, patterns in runs:
            with self.subTest(arguments):
                code, out, err = self.run_example(name, *arguments)
                self.assertEqual((code, err), (0, ""), out)
                self.assert_prints(patterns, out)
        self.assert_nothing_left()

    setattr(Examples, f"test_{name}", run_it)


for example, its_runs in RUNS.items():
    add_test(example, its_runs)

if __name__ == "__main__":
    unittest.main()
