#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes in two network namespaces over each networked transport, with a link between them that delays, loses, doubles and
reorders packets, and that is cut off for ten seconds. Needs root and /dev/net/tun; exits with 77 where it cannot run."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
import unittest

BIN = pathlib.Path(os.environ["VELO_BIN_DIR"])
SKIPPED = 77
PREFIX = "velonet"
TRANSPORTS = ("tcp", "tls", "quic")
ADDRESSES = ("10.213.7.1", "10.213.7.2")
CUT_SECONDS = 10


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True).stdout


def why_not():
    if os.geteuid() != 0:
        return "needs root"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "there is no /dev/net/tun"
    probe = f"{PREFIX}-{os.getpid()}-p"
    try:
        ip("netns", "add", probe)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"cannot make a network namespace: {getattr(error, 'stderr', error)}".strip()
    ip("netns", "del", probe)
    return None


def sweep():
    """Removes what runs that were killed have left."""
    for line in ip("netns", "list", check=False).splitlines():
        name = line.split()[0]
        parts = name.split("-")
        if parts[0] == PREFIX and len(parts) == 3 and not pathlib.Path(f"/proc/{parts[1]}").exists():
            ip("netns", "del", name, check=False)


class Program:
    """A program that answers each line with one."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)
        self.greeting = self.process.stdout.readline().strip()
        if not self.greeting:
            self.end()
            raise AssertionError(f"{command} ended with {self.process.returncode}")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise AssertionError(f"no answer to {line.split()[0]}; ended with {self.process.poll()}")
        return answer

    def ask_json(self, line):
        return json.loads(self.ask(line))

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Network:
    """Two namespaces and the link between them."""

    def __init__(self, test, *impairments):
        self.namespaces = [f"{PREFIX}-{os.getpid()}-{side}" for side in "ab"]
        taps = [f"vn{os.getpid()}{side}" for side in "ab"]
        for name in self.namespaces:
            ip("netns", "add", name)
            test.addCleanup(ip, "netns", "del", name, check=False)
        self.link = Program(BIN / "velo_netem", *taps, *impairments)
        test.addCleanup(self.link.end)
        for name, tap, address in zip(self.namespaces, taps, ADDRESSES):
            ip("link", "set", tap, "netns", name)
            for words in (("link", "set", "lo", "up"), ("addr", "add", f"{address}/24", "dev", tap),
                          ("link", "set", tap, "up", "multicast", "on"), ("route", "add", "224.0.0.0/4", "dev", tap)):
                ip("-n", name, *words)

    def start(self, side, program, *words):
        return Program("ip", "netns", "exec", self.namespaces[side], BIN / program, *words)


class Pair:
    """A node on each side, over one transport; `near` calls `far`."""

    def __init__(self, test, network, kind, *discovery):
        self.test = test
        self.kind = " ".join((kind, *discovery))
        self.far = network.start(1, "velo_netns_node", kind, ADDRESSES[1], *discovery)
        test.addCleanup(self.far.end)
        self.near = network.start(0, "velo_netns_node", kind, ADDRESSES[0], *discovery)
        test.addCleanup(self.near.end)
        if discovery:
            self.near.ask("know " + json.loads(self.far.greeting)["instance_id"])
        else:
            self.near.ask("peer " + self.far.greeting)
        self.sent = 0

    def load(self, count, at_once, size, timeout_ms):
        self.sent += count
        report = self.near.ask_json(f"load {count} {at_once} {size} {timeout_ms}")
        ended = report["succeeded"] + report["wrong"] + report["expired"] + report["failed"]
        self.test.assertEqual(ended, count, f"{self.kind}: every call ends: {report}")
        self.test.assertEqual(report["wrong"], 0, f"{self.kind}: {report}")
        return report

    def assert_all_well(self, report, count):
        self.test.assertEqual(report["succeeded"], count, f"{self.kind}: {report}")

    def assert_books_agree(self):
        balance = self.near.ask_json("balance " + self.far.ask("books"))
        self.test.assertTrue(balance["ok"], f"{self.kind}: {balance['complaint']}")


def each(pairs, function):
    """At the same time: they share the link."""
    with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(function, pairs))


class NetworkNamespaces(unittest.TestCase):
    def test_calls_survive_delay_loss_reordering_and_doubles(self):
        network = Network(self, "--delay-ms", 5, "--jitter-ms", 2, "--loss", 10, "--reorder", 20, "--duplicate", 10,
                          "--mbit", 200, "--seed", 4711)
        pairs = [Pair(self, network, kind) for kind in TRANSPORTS]
        # Found by multicast alone, which loses as much as the rest.
        found = Pair(self, network, "tcp", "multicast")
        deadline = time.monotonic() + 30
        while found.load(1, 1, 64, 5_000)["succeeded"] == 0:
            self.assertLess(time.monotonic(), deadline, "multicast discovery names the peer")
        found.sent = found.far.ask_json("seen")["distinct"]
        pairs.append(found)

        def work(pair):
            pair.assert_all_well(pair.load(2000, 32, 1024, 30_000), 2000)
            pair.assert_all_well(pair.load(40, 8, 262_144, 30_000), 40)
            self.assertEqual(pair.far.ask_json("seen"), {"distinct": pair.sent, "repeated": 0}, pair.kind)
            pair.assert_books_agree()

        each(pairs, work)
        for counts in json.loads(network.link.ask("counts")):
            for what in ("lost", "duplicated", "reordered"):
                self.assertGreater(counts[what], 0, f"the link did nothing: {counts}")

    def test_a_peer_that_is_cut_off_for_ten_seconds_returns(self):
        network = Network(self, "--delay-ms", 2, "--seed", 42)
        pairs = [Pair(self, network, kind) for kind in TRANSPORTS]
        each(pairs, lambda pair: pair.assert_all_well(pair.load(100, 10, 512, 20_000), 100))

        network.link.ask("cut")
        begin = time.monotonic()

        def during(pair):
            while time.monotonic() - begin < CUT_SECONDS:
                report = pair.load(5, 5, 512, 2_000)
                self.assertEqual(report["succeeded"], 0, f"{pair.kind}: the link is cut: {report}")
                self.assertLess(report["slowest_ms"], 4_000, f"{pair.kind}: calls end by their deadline: {report}")

        each(pairs, during)
        self.assertGreaterEqual(time.monotonic() - begin, CUT_SECONDS)
        network.link.ask("heal")
        healed = time.monotonic()

        def after(pair):
            while pair.load(1, 1, 512, 5_000)["succeeded"] == 0:
                self.assertLess(time.monotonic() - healed, 40, f"{pair.kind}: the peer is back")
            pair.assert_all_well(pair.load(200, 10, 512, 20_000), 200)
            seen = pair.far.ask_json("seen")
            self.assertEqual(seen["repeated"], 0, f"{pair.kind}: {seen}")
            self.assertGreaterEqual(seen["distinct"], 301, f"{pair.kind}: {seen}")
            pair.assert_books_agree()

        each(pairs, after)


if __name__ == "__main__":
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        sys.exit(SKIPPED)
    sweep()
    unittest.main(verbosity=2)
