#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs this build directory elsewhere and builds users' programs against it, with two compilers, moved, removed."""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCES = pathlib.Path(__file__).resolve().parents[2]
CONSUMER = SOURCES / "tests" / "install" / "consumer"
# The second compiler must take what the first one built.
OTHER_COMPILER = "g++"


def run(*command, **settings):
    """Standard output; a failure shows everything."""
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, check=False, **settings)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = pathlib.Path(tempfile.mkdtemp(prefix="velo-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch, ignore_errors=True)
        cls.prefix = cls.scratch / "first" / "prefix"
        run("cmake", "--install", OPTIONS.build, "--prefix", cls.prefix)
        cls.manifest = cls.scratch / "install_manifest.txt"
        shutil.copy(OPTIONS.build / "install_manifest.txt", cls.manifest)

    def consumer(self, compiler, prefix, *components):
        """The folder with the programs of a project that finds velo there."""
        build = pathlib.Path(tempfile.mkdtemp(prefix="consumer-", dir=self.scratch))
        run(
            "cmake", "-S", CONSUMER, "-B", build, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}",
            f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCOMPONENTS={';'.join(components)}",
        )  # fmt: skip
        run("ninja", "-C", build)
        return build

    def flags(self, prefix, *questions):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(prefix / "lib" / "pkgconfig"))
        return run("pkg-config", *questions, "velo", env=environment).split()

    def test_a_cmake_project_finds_the_library(self):
        build = self.consumer(OPTIONS.compiler, self.prefix)
        self.assertEqual(run(build / "messengers"), "answer 42\n")

    def test_a_cmake_project_of_the_other_compiler_simulates_its_nodes(self):
        build = self.consumer(OTHER_COMPILER, self.prefix, "sim")
        self.assertEqual(run(build / "simulated"), "replayed\n")

    def test_the_author_of_a_backend_runs_the_conformance_suite(self):
        build = self.consumer(OPTIONS.compiler, self.prefix, "conformance")
        shown = run(build / "backend")
        self.assertRegex(shown, r"\[  PASSED  \] [1-9]\d* tests")

    def test_a_component_that_does_not_exist_is_refused(self):
        with self.assertRaisesRegex(AssertionError, "nonsense"):
            self.consumer(OPTIONS.compiler, self.prefix, "nonsense")

    def test_a_moved_prefix_serves_the_other_compiler_through_pkg_config(self):
        moved = self.scratch / "second" / "place"
        shutil.copytree(self.prefix, moved, symlinks=True)
        hidden = self.prefix.rename(self.scratch / "gone")
        try:
            program = self.scratch / "messengers"
            libraries = self.flags(moved, "--static", "--libs")
            run(
                OTHER_COMPILER, "-std=c++23", *self.flags(moved, "--cflags"), CONSUMER / "messengers.cpp",
                "-o", program, *libraries, f"-Wl,-rpath,{moved / 'lib'}",
            )  # fmt: skip
            self.assertEqual(run(program), "answer 42\n")
            self.assertRegex(run(moved / "bin" / "velo", "--version"), r"\Avelo \d")
        finally:
            hidden.rename(self.prefix)

    def test_the_version_is_the_same_everywhere(self):
        version = re.search(r"project\(velo VERSION (\S+)", (SOURCES / "CMakeLists.txt").read_text()).group(1)
        self.assertEqual(self.flags(self.prefix, "--modversion"), [version])
        self.assertEqual(run(self.prefix / "bin" / "velo", "--version"), f"velo {version}\n")

    def test_the_completions_are_where_shells_look(self):
        share = self.prefix / "share"
        for shell, path in (
            ("bash", "bash-completion/completions/velo"),
            ("zsh", "zsh/site-functions/_velo"),
            ("fish", "fish/vendor_completions.d/velo.fish"),
        ):
            self.assertEqual((share / path).read_text(), run(self.prefix / "bin" / "velo", "completion", shell))

    def test_every_public_header_is_there_and_no_private_one(self):
        public = {
            path.relative_to(root).as_posix()
            for root in (SOURCES / "src").rglob("include")
            if root.parent.name != "testing"
            for path in root.rglob("*.hpp")
        }
        include = self.prefix / "include"
        self.assertEqual({path.relative_to(include).as_posix() for path in files_below(include)}, public)

    def test_no_installed_file_names_the_folder_that_built_it(self):
        # A debug build's libraries and program tell debuggers where the sources are.
        binary = OPTIONS.type == "Debug"
        for path in files_below(self.prefix):
            if binary and (path.suffix in (".a", ".so") or path.parent.name == "bin"):
                continue
            self.assertNotIn(str(SOURCES).encode() + b"/", path.read_bytes(), path)

    def test_the_manifest_removes_everything(self):
        copy = self.scratch / "removed"
        shutil.copytree(self.prefix, copy, symlinks=True)
        manifest = self.scratch / "manifest.txt"
        manifest.write_text(self.manifest.read_text().replace(str(self.prefix), str(copy)))
        stranger = copy / "lib" / "other.txt"
        stranger.write_text("not ours")
        run("cmake", f"-Dmanifest={manifest}", "-P", SOURCES / "cmake" / "velo_uninstall.cmake")
        self.assertEqual(files_below(copy), [stranger])
        self.assertFalse((copy / "include" / "velo").exists())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--type", required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
