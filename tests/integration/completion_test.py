# SPDX-License-Identifier: Apache-2.0
"""`velo completion`: what the shells offer at a point of the command line."""

import re
import shutil
import subprocess
import unittest

from program import ProgramTest, VELO

BASH = 'source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _velo; printf "%s\\n" "${COMPREPLY[@]}"'
# The completion system lives in interactive shells only; these stand in for it.
ZSH = r"""
compdef() { }
compset() { }
_files() { print -l -- files "$@" }
_describe() { [[ $1 == -o ]] && shift; local name=$2; print -l -- "${(@P)name}" }
words=("$@"); CURRENT=$#
source /dev/stdin
_velo
"""
LINES = {
    ("",): {"demo", "bench", "call", "completion"},
    ("bench", ""): {"latency", "throughput", "floor"},
    ("call", "-"): {"--kind", "--json", "--file", "--timeout", "--output", "--help"},
    ("call", "x", "--kind", ""): {"unary", "sync", "fire"},
    ("bench", "latency", "--transport", ""): {"tcp", "uds", "inproc"},
    ("-o", "json", "completion", ""): {"bash", "zsh", "fish"},
    ("bench", "latency", "--size", "demo", "--transport", ""): {"tcp", "uds", "inproc"},
}


class Completion(ProgramTest):
    def script(self, shell):
        code, out, err = self.run_velo("completion", shell)
        self.assertEqual((code, err), (0, ""))
        return out

    def offered(self, *command, script):
        done = subprocess.run(
            command, input=script, text=True, capture_output=True, check=False, cwd=self.scratch,
            env=dict(self.environment, HOME=str(self.scratch)),
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return set(re.split(r"\n", done.stdout.strip()))

    def shell(self, name):
        path = shutil.which(name)
        if path is None:
            self.skipTest(f"{name} is not installed")
        return path

    def test_bash_offers_commands_options_and_values(self):
        bash, script = self.shell("bash"), self.script("bash")
        for line, expected in LINES.items():
            offered = self.offered(bash, "-c", BASH, "bash", "velo", *line, script=script)
            self.assertLessEqual(expected, offered, line)
            self.assertNotIn("demo-worker", offered)
        offered = self.offered(bash, "-c", BASH, "bash", "velo", "call", "x", "--kind", "=", "f", script=script)
        self.assertEqual(offered, {"fire"})

    def test_bash_offers_folders_where_a_folder_is_meant(self):
        (self.scratch / "folder").mkdir()
        (self.scratch / "file").write_text("")
        line = ("velo", "info", "--discovery", "f")
        self.assertEqual(self.offered(self.shell("bash"), "-c", BASH, "bash", *line, script=self.script("bash")), {"folder"})

    def test_zsh_offers_the_same_with_descriptions(self):
        zsh, script = self.shell("zsh"), self.script("zsh")
        for line, expected in LINES.items():
            offered = self.offered(zsh, "-f", "-c", ZSH, "zsh", "velo", *line, script=script)
            self.assertLessEqual(expected, {word.split(":")[0] for word in offered}, line)

    def test_fish_offers_the_same_with_descriptions(self):
        fish, script = self.shell("fish"), self.script("fish")
        for line, expected in LINES.items():
            ask = script + "complete -C 'velo " + " ".join(line) + "'\n"
            offered = self.offered(fish, "--no-config", script=ask)
            self.assertLessEqual(expected, {word.split("\t")[0] for word in offered}, line)

    def test_every_command_of_the_help_is_in_every_script(self):
        _, shown, _ = self.run_velo("--help")
        commands = re.findall(r"(?m)^  ([a-z][a-z-]*)  ", shown.split("Subcommands:")[1])
        self.assertIn("demo", commands)
        for shell in ("bash", "zsh", "fish"):
            script = self.script(shell)
            for command in commands:
                self.assertIn(f"/{command}'", script)

    def test_an_unknown_shell_is_a_usage_error(self):
        self.assert_fails(2, "SHELL", "completion", "tcsh")


if __name__ == "__main__":
    assert VELO.exists(), f"{VELO} is not built"
    unittest.main()
