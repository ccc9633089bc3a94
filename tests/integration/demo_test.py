# SPDX-License-Identifier: Apache-2.0
"""`velo demo`: whatever is killed, and whenever, the result is complete and right, and nothing is left behind."""

import hashlib
import json
import os
import pathlib
import signal
import unittest

from program import SOURCES, VELO, ProgramTest, children_of, processes_with, wait_until

LARGE = (9 << 20) + 123  # travels in three parts


def write_tree(root):
    """Files of all sorts; returns what is expected of them: {path as bytes: contents}."""
    root.mkdir()
    expected = {}

    def write(name, contents):
        path = os.path.join(os.fsencode(root), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(contents)
        expected[name] = contents

    for i in range(300):
        write(b"many/%d/file-%d.txt" % (i % 7, i), b"line %d\nanother  one\n" % i * (i % 50))
    write(b"empty", b"")
    write(b"no-newline", b"one word")
    write(b"spaces only", b" \t\n\v\f\r")
    write(b"with space and \xff byte", b"x")
    write(b"new\nline", b"y")
    write(b"back\\slash", b"z")
    write(b".hidden/.file", b"hidden\n")
    write(b"binary", bytes(range(256)) * 400)
    write(b"just-one-part", b"a b\n" * (1 << 20))
    write(b"large", hashlib.sha256(b"seed").digest() * (LARGE // 32) + b"q" * (LARGE % 32))
    (root / "broken-link").symlink_to("nowhere")
    (root / "link-to-directory").symlink_to("many")
    (root / "link-to-file").symlink_to("empty")
    os.mkfifo(root / "fifo")
    return expected


def read_sums(path):
    """What `sha256sum` writes, its escapes undone: {path: sum}, and whether a path came twice."""
    sums = {}
    lines = path.read_bytes().split(b"\n")[:-1]
    for line in lines:
        escaped = line.startswith(b"\\")
        digest, name = line[1:].split(b"  ", 1) if escaped else line.split(b"  ", 1)
        if escaped:
            name = name.replace(b"\\\\", b"\0").replace(b"\\n", b"\n").replace(b"\0", b"\\")
        sums[name] = digest.decode()
    return sums, len(lines)


class DemoTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.tree = self.scratch / "tree"
        self.expected = write_tree(self.tree)
        self.sums = self.scratch / "sums"

    def start_demo(self, *arguments, tree=None):
        return self.start("demo", tree or self.tree, "-o", "json", "--results", self.sums, *arguments)

    def check_result(self, process):
        """Complete, right, balanced, and nothing left; returns the summary."""
        code, out, err = self.finish(process)
        self.assertEqual((code, err), (0, ""), out)
        report = json.loads(out)
        self.assertTrue(report["ok"])
        sums, lines = read_sums(self.sums)
        self.assertEqual(lines, len(self.expected))
        self.assertEqual(
            sums, {name: hashlib.sha256(data).hexdigest() for name, data in self.expected.items()})
        contents = self.expected.values()
        self.assertEqual(report["files"]["found"], len(self.expected))
        self.assertEqual(report["files"]["done"], len(self.expected))
        self.assertEqual(report["bytes"], sum(map(len, contents)))
        self.assertEqual(report["lines"], sum(data.count(b"\n") for data in contents))
        self.assertEqual(report["words"], sum(len(data.split()) for data in contents))
        skipped = report["files"]["skipped"]
        self.assertEqual((skipped["symbolic_links"], skipped["special_files"]), (3, 1))
        sends = dict(report["sends"])
        sent = sends.pop("sent")
        self.assertEqual(sends["in_flight"], 0)
        self.assertEqual(sent, sum(sends.values()))
        self.assertEqual(sum(w["files"] for w in report["workers"]), len(self.expected))
        for check in report["checks"]:
            self.assertTrue(check["ok"], check)
        agree = [check["name"] for check in report["checks"] if "books agree" in check["name"]]
        living = [w for w in report["workers"] if w["end"] == "finished"]
        self.assertEqual(agree, [f"worker {w['index']}'s books agree" for w in living])
        for worker in report["workers"]:
            if worker["end"] == "finished":
                self.assertEqual(worker["received"], worker["taken"], worker)
            else:
                self.assertIsNone(worker.get("received"), worker)
        self.assert_nothing_left()
        return report


class Demo(DemoTest):
    def test_without_a_kill_every_send_is_handled(self):
        report = self.check_result(self.start_demo("--no-kill"))
        self.assertEqual((report["kills"], report["retries"]), (0, 0))
        self.assertEqual(report["sends"]["handled"], report["sends"]["sent"])
        self.assertEqual([w["end"] for w in report["workers"]], ["finished"] * 3)
        self.assertEqual(sum(w["received"] for w in report["workers"]), report["sends"]["sent"])
        latency = report["latency"]
        self.assertLessEqual(latency["p50_us"], latency["p99_us"])
        # One per file, and for the large one a call per part.
        self.assertEqual(latency["calls"], len(self.expected) + 3)

    def test_any_worker_may_be_killed_at_any_part_of_the_work(self):
        for worker in range(3):
            for at in ("0", "0.5", "0.95"):
                with self.subTest(worker=worker, at=at):
                    report = self.check_result(
                        self.start_demo("--kill-worker", worker, "--kill-at", at))
                    self.assertEqual(report["kills"], 1)
                    self.assertEqual(report["workers"][worker]["end"], "killed")

    def test_over_unix_sockets_as_well(self):
        report = self.check_result(self.start_demo("--transport", "uds", "--kill-at", "0.2"))
        self.assertEqual(report["kills"], 1)

    def test_one_call_at_a_time_and_many_workers(self):
        self.check_result(self.start_demo("--outstanding", "1", "--workers", "6"))

    def test_a_single_worker_does_all_of_it(self):
        report = self.check_result(self.start_demo("--workers", "1", "--no-kill"))
        self.assertEqual(report["workers"][0]["files"], len(self.expected))

    def test_an_empty_directory_has_nothing_to_do(self):
        empty = self.scratch / "empty"
        empty.mkdir()
        report = self.run_json("demo", empty)
        self.assertEqual((report["ok"], report["files"]["found"], report["kills"]), (True, 0, 0))
        self.assert_nothing_left()

    def test_the_default_is_the_sources_of_the_repository(self):
        code, out, err = self.run_velo("demo", "-o", "json", cwd=SOURCES)
        self.assertEqual((code, err), (0, ""))
        report = json.loads(out)
        self.assertTrue((pathlib.Path(report["directory"]) / "src" / "messenger").is_dir())
        self.assertGreater(report["files"]["done"], 100)
        self.assert_nothing_left()

    def test_the_table_tells_the_same_to_people(self):
        code, out, err = self.run_velo("demo", self.tree)
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, rf"(?m)^files +{len(self.expected)} of {len(self.expected)} done, 0 failed")
        self.assertRegex(out, r"(?m)^ok  the fates of all sends add up: .*sent = 0 in flight \+ ")
        self.assertRegex(out, r"(?m)^0 +\d+ +killed .* unknown$")
        self.assertRegex(out, r"(?m)^ok  worker 1's books agree: we sent (\S+), it received \1;")
        self.assertNotIn("\033", out)

    def test_a_wrong_answer_is_found_and_is_exit_code_4(self):
        code, out, err = self.finish(self.start_demo("--spoil", "no-newline"))
        self.assertEqual(code, 4)
        self.assertFalse(json.loads(out)["ok"])
        self.assertIn("velo: no-newline: worker", err)
        self.assertIn("not so: every result is right (1 of", err)
        self.assert_nothing_left()

    def test_a_worker_that_counted_otherwise_is_found_and_is_exit_code_4(self):
        code, out, err = self.finish(self.start_demo("--spoil-books", "1"))
        self.assertEqual(code, 4)
        report = json.loads(out)
        self.assertFalse(report["ok"])
        self.assertEqual([c["name"] for c in report["checks"] if not c["ok"]], ["worker 1's books agree"])
        worker = report["workers"][1]
        self.assertEqual(worker["received"], worker["taken"] + 1)
        self.assertRegex(err, r"not so: worker 1's books agree .*unary to [0-9a-f]{8}, which received \d+")
        self.assert_nothing_left()

    def test_what_cannot_work_is_refused_before_anything_starts(self):
        self.assert_fails(2, "no directory", "demo", self.scratch / "missing")
        self.assert_fails(2, "no directory", "demo", self.tree / "empty")
        self.assert_fails(2, "only worker", "demo", self.tree, "--workers", "1")
        self.assert_fails(2, "no worker 3 of 3", "demo", self.tree, "--kill-worker", "3")
        self.assert_fails(2, "--kill-at", "demo", self.tree, "--kill-at", "1.5")
        self.assert_fails(2, "--no-kill", "demo", self.tree, "--no-kill", "--kill-at", "0.5")

    def test_results_that_cannot_be_written_are_a_failure(self):
        code, _, err = self.run_velo("demo", self.tree, "--results", self.scratch / "no" / "file")
        self.assertEqual(code, 1)
        self.assertIn("cannot write", err)
        self.assert_nothing_left()

    def test_a_temporary_directory_that_cannot_be_made_is_told(self):
        self.environment["TMPDIR"] = str(self.scratch / "missing")
        self.assert_fails(1, "temporary directory", "demo", self.tree)


class KilledFromOutside(DemoTest):
    """Not by the demo itself, which therefore does not know when."""

    def announced(self):
        """How many workers; the coordinator was announced before them."""
        return len(list(self.temporary.glob("velo-demo-*/velo-demo/peers/*.json"))) - 1

    def kill_when(self, worker, condition, *arguments):
        process = self.start_demo("--no-kill", *arguments)
        children = wait_until(lambda: len(children_of(process.pid)) == 3 and children_of(process.pid),
                              "three workers")
        wait_until(lambda: condition() or process.poll() is not None, "the moment")
        os.kill(children[worker], signal.SIGKILL)
        return process

    def test_a_worker_killed_as_soon_as_it_exists(self):
        for worker in range(3):
            with self.subTest(worker=worker):
                self.check_result(self.kill_when(worker, lambda: True))

    def test_a_worker_killed_when_the_first_is_announced(self):
        for worker in range(3):
            with self.subTest(worker=worker):
                self.check_result(self.kill_when(worker, lambda: self.announced() > 0))

    def test_two_of_three_killed(self):
        process = self.kill_when(0, lambda: self.announced() > 2)
        left = children_of(process.pid)
        if left:
            os.kill(left[-1], signal.SIGKILL)
        self.check_result(process)


class Ends(DemoTest):
    """A job that would take minutes, so that it is certainly going on."""

    def setUp(self):
        super().setUp()
        self.long = self.scratch / "long"
        self.long.mkdir()
        for name in ("a", "b", "c"):
            with open(self.long / name, "wb") as file:
                file.truncate(64 << 30)
        self.process = self.start_demo("--no-kill", tree=self.long)
        wait_until(lambda: len(children_of(self.process.pid)) == 3, "three workers")

    def working(self):
        """Once a worker has computed for a while, the work is on."""
        def ticks(pid):
            try:
                return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11])
            except OSError:
                return 0
        wait_until(lambda: any(ticks(pid) > 10 for pid in children_of(self.process.pid)), "work")

    def check_signal(self, number):
        self.process.send_signal(number)
        code, out, err = self.finish(self.process)
        self.assertEqual((code, out), (128 + number, ""), err)
        self.assertRegex(err, r"\Avelo: interrupted; hint: [^\n]+\n\Z")
        self.assert_nothing_left()

    def test_an_interrupt_amid_the_work_leaves_nothing_behind(self):
        self.working()
        self.check_signal(signal.SIGINT)

    def test_an_interrupt_during_the_start_leaves_nothing_behind(self):
        self.check_signal(signal.SIGINT)

    def test_so_does_a_request_to_terminate(self):
        self.working()
        self.check_signal(signal.SIGTERM)

    def test_without_workers_the_job_fails(self):
        self.working()
        for pid in children_of(self.process.pid):
            os.kill(pid, signal.SIGKILL)
        code, out, err = self.finish(self.process)
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"\Avelo: every worker ended [^\n]*; hint: [^\n]+\n\Z")
        self.assert_nothing_left()

    def test_workers_die_with_a_killed_coordinator(self):
        self.working()
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not processes_with(str(self.temporary)), "the workers end")


if __name__ == "__main__":
    assert VELO.exists(), f"{VELO} is not built"
    unittest.main()
