# SPDX-License-Identifier: Apache-2.0
"""Runs the built programs in a private temporary directory, and sees what they leave behind."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import unittest

BIN = pathlib.Path(os.environ["VELO_BIN_DIR"])
SOURCES = pathlib.Path(os.environ["VELO_SOURCE_DIR"])
VELO = BIN / "velo"
PATIENCE = 120


def wait_until(condition, what):
    """Polls: what other processes do cannot be waited for otherwise."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        os.sched_yield()
    raise AssertionError(f"did not happen: {what}")


def processes_with(text):
    """Pids of processes whose command line contains the text."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if text.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def children_of(pid):
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        state, parent = stat.rsplit(")", 1)[1].split()[:2]
        if int(parent) == pid and state != "Z":
            found.append(int(entry.name))
    return sorted(found)


class ProgramTest(unittest.TestCase):
    """A scratch directory, in which the programs' own temporary directories are, too."""

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="velo-it-"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.temporary = self.scratch / "t"
        self.temporary.mkdir()
        self.environment = dict(os.environ, TMPDIR=str(self.temporary))
        for name in ("VELO_LOG", "VELO_OUTPUT", "VELO_DISCOVERY", "VELO_CLUSTER"):
            self.environment.pop(name, None)

    def start(self, *arguments, **settings):
        settings.setdefault("stdout", subprocess.PIPE)
        settings.setdefault("stderr", subprocess.PIPE)
        settings.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([VELO, *map(str, arguments)], env=self.environment, **settings)
        self.addCleanup(self._end, process)
        return process

    @staticmethod
    def _end(process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()

    def finish(self, process):
        out, err = process.communicate(timeout=PATIENCE)
        return process.returncode, *((part or b"").decode(errors="replace") for part in (out, err))

    def run_velo(self, *arguments, **settings):
        return self.finish(self.start(*arguments, **settings))

    def run_json(self, *arguments):
        code, out, err = self.run_velo(*arguments, "-o", "json")
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def assert_fails(self, expected, pattern, *arguments):
        """One line on standard error with a hint, nothing on standard output."""
        code, out, err = self.run_velo(*arguments)
        self.assertEqual((code, out), (expected, ""), err)
        self.assertRegex(err, rf"\Avelo: [^\n]*{pattern}[^\n]*; hint: [^\n]+\n\Z")

    def assert_nothing_left(self):
        wait_until(lambda: not processes_with(str(self.temporary)), "its processes end")
        self.assertEqual(list(self.temporary.iterdir()), [])
