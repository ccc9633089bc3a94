# SPDX-License-Identifier: Apache-2.0
"""A scratch copy of the working tree in which a test may do wrong things."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True

from velo_tidy import tree  # noqa: E402

SOURCE_OPENING = "// SPDX-License-Identifier: Apache-2.0\n// Written by a test of the house.\n"


class CopiedTree:
    def __init__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="velo-house-")
        self.root = pathlib.Path(self._directory.name)
        for path in tree.files(ROOT):
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, target)

    def close(self):
        self._directory.cleanup()

    def write(self, path, body):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(SOURCE_OPENING + body, encoding="utf-8")
        return target

    def run(self, *command):
        """The command's exit status and its whole output."""
        environment = dict(os.environ, VELO_NO_SETUP="1")
        done = subprocess.run(
            command, cwd=self.root, env=environment, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout

    def first_header(self, room):
        """The name under which some public header of the room is included."""
        include = self.root / "src" / room / "include"
        return sorted(path.relative_to(include).as_posix() for path in include.rglob("*.hpp"))[0]
