# SPDX-License-Identifier: Apache-2.0
"""Runs one of the modes of tools/lint and reports only what is wrong."""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

from velo_lint import units

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The part of .clang-tidy that is worth its time on every change. Left to `full`: checks that need the static
# analyzer or a data flow analysis of every function, and tests, whose macros make each unit several times dearer.
FAST_CHECKS = (
    "-*",
    "bugprone-*",
    "-bugprone-easily-swappable-parameters",
    "-bugprone-exception-escape",
    "-bugprone-signed-char-misuse",
    "-bugprone-suspicious-include",
    "-bugprone-unchecked-optional-access",
    "-bugprone-stringview-nullptr",
    # Running out of memory ends the process; nothing is gained by a handler at every `new` of a noexcept function.
    "-bugprone-unhandled-exception-at-new",
    "performance-*",
    # A shared_ptr taken by value keeps its object alive for the call: that is what the copy is for.
    "-performance-unnecessary-value-param",
    "-performance-unnecessary-copy-initialization",
    "-performance-enum-size",
    "-performance-avoid-endl",
    "cppcoreguidelines-avoid-capturing-lambda-coroutines",
    "cppcoreguidelines-avoid-reference-coroutine-parameters",
    "misc-unused-using-decls",
    "readability-identifier-naming",
)


def is_test(path):
    return str(path).endswith("_test.cpp")


def in_directory(path, names):
    relative = os.path.relpath(path, ROOT)
    return any(relative.startswith(name + "/") for name in names)


def tidy_command(build, checks):
    command = ["clang-tidy-19", "-p", str(build), "--quiet"]
    if checks:
        command.append("--checks=" + ",".join(checks))
    return command


def query_command(build):
    command = ["clang-query-19", "-p", str(build)]
    for query in sorted((ROOT / "tools" / "queries").glob("*.query")):
        command += ["-f", str(query)]
    return command


def findings(output):
    """The lines worth reading: warnings, errors and query bindings with the source lines under them."""
    kept, keeping = [], False
    for line in output.splitlines():
        if re.search(r": (warning|error): ", line) or (": note: " in line and "binds here" in line):
            keeping = '"first" binds here' not in line
        elif re.match(r"^(\d+ warnings?|\d+ match|Match #|Suppressed|Use -)", line):
            keeping = False
        if keeping:
            kept.append(line)
    return kept


class Runner:
    """Runs one command per unit and keeps, per unit, the key under which it was last found clean."""

    def __init__(self, name, command, settings, build):
        self._command = command
        self._settings = settings
        self._closure = units.Closure(ROOT)
        self._clean = build / "lint" / name
        self._clean.mkdir(parents=True, exist_ok=True)

    def members(self, unit):
        return units.members(unit, self._closure)

    def run(self, chosen):
        """Prints findings as units end; returns how many units have any."""
        dirty = []
        for unit in chosen:
            key = units.key(unit, self._closure, self._settings)
            if not (self._clean / key).exists():
                dirty.append((unit, key))
        print(f"{len(chosen)} units, {len(chosen) - len(dirty)} unchanged since they were clean", flush=True)
        bad = 0
        workers = int(os.environ.get("VELO_JOBS", os.cpu_count() or 1))
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            for number, found in enumerate(pool.map(self._run_one, dirty), 1):
                if found:
                    bad += 1
                    print("\n".join(found), flush=True)
                print(f"[{number}/{len(dirty)}]", flush=True)
        return bad

    def _run_one(self, item):
        unit, key = item
        done = subprocess.run(self._command + [str(unit.path)], cwd=ROOT, capture_output=True, text=True, check=False)
        found = findings(done.stdout)
        if done.returncode != 0 and not found:
            found = [f"{unit.path}: {self._command[0]} failed"] + (done.stdout + done.stderr).splitlines()[-20:]
        if not found:
            (self._clean / key).touch()
        return found


def settings_of(command):
    texts = [" ".join(command), (ROOT / ".clang-tidy").read_text(encoding="utf-8")]
    texts += [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tools" / "queries").glob("*.query"))]
    return "\0".join(texts)


def run_tidy(mode, build):
    command = tidy_command(build, FAST_CHECKS if mode == "fast" else ())
    runner = Runner(mode, command, settings_of(command), ROOT / "build")
    chosen = units.load(build)
    if mode == "fast":
        chosen = [unit for unit in chosen if all(in_directory(path, ["src"]) for path in runner.members(unit))]
        chosen = [unit for unit in chosen if not any(is_test(path) for path in runner.members(unit))]
    return runner.run(chosen)


def run_queries(build):
    command = query_command(build)
    runner = Runner("queries", command, settings_of(command), ROOT / "build")
    words = re.compile(r"\bco_(await|return)\b|\bRandom\b|\brandom\(\)|\.draw|\bclock\(\)")
    chosen = [unit for unit in units.load(build) if words.search(unit.path.read_text(encoding="utf-8"))]
    return runner.run(chosen)


def main(arguments):
    parser = argparse.ArgumentParser(prog="tools/lint", description="clang-tidy and clang-query over the tree.")
    parser.add_argument("mode", choices=("fast", "full", "queries"))
    parser.add_argument("--build", type=pathlib.Path, help="build directory (default: build/asan, for queries build/clang)")
    options = parser.parse_args(arguments)
    if options.mode == "queries":
        bad = run_queries(options.build or ROOT / "build" / "clang")
    else:
        bad = run_tidy(options.mode, options.build or ROOT / "build" / "asan")
    if bad:
        print(f"lint: {bad} units with findings", file=sys.stderr)
    return 1 if bad else 0
