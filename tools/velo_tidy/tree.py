# SPDX-License-Identifier: Apache-2.0
"""Which files belong to the tree: tracked ones, and untracked ones that git does not ignore."""

import os
import pathlib
import subprocess

_SKIPPED_DIRECTORIES = {".git", "build", "__pycache__"}


def files(root):
    """Paths relative to `root`, sorted. Without git (an unpacked archive) every file outside build/ counts."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, check=True, capture_output=True).stdout.decode()
        paths = {path for path in listed.split("\0") if path}
    except (OSError, subprocess.CalledProcessError):
        paths = set(_walk(root))
    return sorted(path for path in paths if (pathlib.Path(root) / path).is_file())


def _walk(root):
    for directory, names, found in os.walk(root):
        names[:] = [name for name in names if name not in _SKIPPED_DIRECTORIES]
        for name in found:
            yield os.path.relpath(os.path.join(directory, name), root).replace(os.sep, "/")
