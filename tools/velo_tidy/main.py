# SPDX-License-Identifier: Apache-2.0
"""Puts the checks together: lists the tree, runs every rule, prints findings as path:line: message."""

import argparse
import pathlib
import sys

from velo_tidy import limits, openings, saturation, shape, tree
from velo_tidy.bans import Bans
from velo_tidy.layers import Layers
from velo_tidy.source import CPP_SUFFIXES, Finding, Source

_TEXT_SUFFIXES = CPP_SUFFIXES + (".py", ".md", ".cmake", ".json", ".toml", ".txt", ".sh", ".query", ".yml", ".yaml")
_TEXT_NAMES = {"dev", ".ci/run", "tools/tidy", "tools/lint"}


class Rules:
    """The tables that stand beside tools/tidy in the tree being checked."""

    def __init__(self, root):
        tools = pathlib.Path(root) / "tools"
        self.layers = Layers.load(tools / "layers.toml")
        self.bans = Bans.load(tools / "bans.toml")
        self.ratchet = shape.Ratchet.load(tools / "ratchet.toml")


def check_source(source, rules):
    yield from openings.check_opening(source)
    yield from openings.check_paths(source)
    yield from rules.layers.check(source)
    yield from rules.bans.check(source)
    yield from shape.check_file_size(source, rules.ratchet)
    yield from shape.check_function_sizes(source, rules.ratchet)


def check_tree(root, rules, only=None):
    """All findings, sorted. `only` limits the checks of single files to these paths."""
    root = pathlib.Path(root)
    paths = tree.files(root)
    findings = list(openings.check_readmes(root, set(paths), Finding))
    for path in paths:
        if only and path not in only:
            continue
        message = shape.check_blob(path, (root / path).stat().st_size)
        if message:
            findings.append(Finding(path, 1, message))
        elif path.endswith(_TEXT_SUFFIXES) or path in _TEXT_NAMES:
            findings.extend(check_source(Source.read(root, path), rules))
    findings.extend(stale_ratchet(set(paths), rules.ratchet))
    findings.extend(limits.check(root, paths))
    findings.extend(saturation.check(root, paths))
    return sorted(findings)


def stale_ratchet(paths, ratchet):
    for key in list(ratchet.files) + list(ratchet.functions):
        if key.split(":")[0] not in paths:
            yield Finding("tools/ratchet.toml", 1, f"{key} is gone: run `tools/tidy --ratchet`")


def lower_ratchet(root, rules):
    """Lowers every entry to the present size and drops those that are no longer needed; adds none."""
    sources = {path: Source.read(root, path) for path in tree.files(root) if path.endswith(CPP_SUFFIXES + (".py",))}
    sizes = {path: len(source.lines) for path, source in sources.items()}
    lengths = {f"{path}:{name}": size for path, source in sources.items() for name, _, size in shape.functions(source)}
    ratchet = rules.ratchet
    ratchet.files = _lowered(ratchet.files, sizes, shape.FILE_LINES_SOFT)
    ratchet.functions = _lowered(ratchet.functions, lengths, shape.FUNCTION_LINES)
    (pathlib.Path(root) / "tools" / "ratchet.toml").write_text(ratchet.dump(), encoding="utf-8")


def _lowered(entries, sizes, limit):
    lowered = {key: min(allowed, sizes.get(key, 0)) for key, allowed in entries.items()}
    return {key: size for key, size in lowered.items() if size > limit}


def main(arguments):
    parser = argparse.ArgumentParser(prog="tools/tidy", description="Checks the house rules (STYLE.md).")
    parser.add_argument("paths", nargs="*", help="check only these files, relative to the root")
    parser.add_argument("--root", default=pathlib.Path(__file__).resolve().parents[2], type=pathlib.Path)
    parser.add_argument("--list", action="store_true", help="only list the files of the tree, each ended by NUL")
    parser.add_argument("--ratchet", action="store_true", help="lower tools/ratchet.toml to the present sizes")
    parser.add_argument("--limits", action="store_true", help="write docs/limits.md from the limits.hpp of the rooms")
    options = parser.parse_args(arguments)

    if options.list:
        sys.stdout.write("".join(path + "\0" for path in tree.files(options.root)))
        return 0
    rules = Rules(options.root)
    if options.ratchet:
        lower_ratchet(options.root, rules)
    if options.limits:
        limits.write(options.root, tree.files(options.root))
    findings = check_tree(options.root, rules, set(options.paths))
    for finding in findings:
        print(finding)
    if findings:
        print(f"tidy: {len(findings)} findings", file=sys.stderr)
        return 1
    return 0
