# SPDX-License-Identifier: Apache-2.0
"""The commands of `velo` as a script sees them: exit codes, JSON, hints."""

import json
import os
import pathlib
import pty
import signal
import socket
import struct
import subprocess
import unittest

from program import ProgramTest, VELO, wait_until


class Usage(ProgramTest):
    def test_help_goes_to_standard_output_and_names_the_exit_codes(self):
        code, out, err = self.run_velo("--help")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("Exit codes: 0 done", out)
        for command in ("demo", "sim", "info", "handlers", "call", "echo", "identity"):
            self.assertRegex(out, rf"(?m)^ +{command} ")
        self.assertNotIn("demo-worker", out)

    def test_every_command_shows_examples(self):
        for command in ("demo", "info", "handlers", "call", "echo"):
            code, out, _ = self.run_velo(command, "--help")
            self.assertEqual(code, 0)
            self.assertIn(f"Examples:\n  velo {command}", out)

    def test_version_is_one_line(self):
        code, out, _ = self.run_velo("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"\Avelo \d+\.\d+\.\d+\n\Z")

    def test_what_cannot_be_understood_is_exit_code_2(self):
        folder = self.scratch
        self.assert_fails(2, "no command")
        self.assert_fails(2, "nonsense", "nonsense")
        self.assert_fails(2, "--output", "info", "-o", "yaml")
        self.assert_fails(2, "HANDLER", "call", "-d", folder)
        self.assert_fails(2, "--discovery", "handlers")
        self.assert_fails(2, "no directory", "handlers", "-d", folder / "missing")
        self.assert_fails(2, "no duration", "call", "x", "-d", folder, "--timeout", "soon")
        self.assert_fails(2, "no duration", "call", "x", "-d", folder, "--timeout", "-1s")
        self.assert_fails(2, "--kind", "call", "x", "-d", folder, "--kind", "maybe")
        self.assert_fails(2, "at most 1", "call", "x", "-d", folder, "--raw", "a", "--json", "1")
        self.assert_fails(2, "--json", "call", "x", "-d", folder, "--json", "{")
        self.assert_fails(2, "cannot open", "call", "x", "-d", folder, "--file", folder / "missing")
        self.assert_fails(2, "looked up", "info", "3f2a")

    def test_a_log_setting_that_is_wrong_is_told(self):
        self.environment["VELO_LOG"] = "loud"
        self.assert_fails(2, "loud", "info")

    def test_output_that_cannot_be_written_is_a_failure(self):
        with open("/dev/full", "wb") as full:
            code, _, err = self.run_velo("info", stdout=full)
        self.assertEqual(code, 1)
        self.assertIn("cannot write", err)


class Info(ProgramTest):
    def test_json_has_the_build_the_limits_and_the_interfaces(self):
        info = self.run_json("info")
        self.assertEqual(info["transports"], ["inproc", "quic", "shm", "tcp", "tls", "uds"])
        self.assertEqual(info["limits"]["frame_bytes_max"], 16 << 20)
        self.assertEqual(info["limits"]["call_deadline_default_seconds"], 30)
        self.assertRegex(info["compiler"], r"^(clang|gcc) \d+")
        loopback = [each for each in info["interfaces"] if each["loopback"]]
        self.assertIn("127.0.0.1", [each["address"] for each in loopback])

    def test_the_output_format_can_come_from_the_environment(self):
        self.environment["VELO_OUTPUT"] = "json"
        _, out, _ = self.run_velo("info")
        self.assertIn("version", json.loads(out))

    def test_an_empty_folder_has_no_peers(self):
        self.assertEqual(self.run_json("info", "-d", self.scratch), [])
        self.assert_fails(3, "no announced peer", "info", "-d", self.scratch, "3f2a")


class Calls(ProgramTest):
    transport = "tcp"

    def setUp(self):
        super().setUp()
        self.folder = self.scratch / "d"
        self.folder.mkdir()
        self.echo, self.id = self.serve()

    def serve(self):
        process = self.start("echo", "-d", self.folder, "--transport", self.transport, "-o", "json")
        return process, json.loads(process.stdout.readline())["serving"]

    def call(self, *arguments):
        return self.run_velo("call", *arguments, "-d", self.folder)

    def call_json(self, *arguments):
        return self.run_json("call", *arguments, "-d", self.folder)

    def test_a_peer_that_serves_is_listed_with_its_transport(self):
        peers = self.run_json("info", "-d", self.folder)
        self.assertEqual([peer["instance_id"] for peer in peers], [self.id])
        self.assertEqual(peers[0]["transports"], [self.transport])
        self.assertEqual(self.run_json("info", "-d", self.folder, self.id[:4]), peers)

    def test_the_books_of_nodes_are_compared(self):
        _, other = self.serve()
        for _ in range(3):
            self.assertEqual(self.call("echo", "--raw", "x", "--peer", self.id[:8])[0], 0)
        shown = self.run_json("info", "-d", self.folder, "--balance")
        self.assertEqual((shown["balanced"], shown["complaints"]), (True, []))
        self.assertEqual(sorted(node["instance"] for node in shown["nodes"]), sorted([self.id, other]))
        asked = next(node for node in shown["nodes"] if node["instance"] == self.id)
        self.assertEqual(asked["totals"]["received"]["succeeded"], 3)
        self.assertEqual(len(asked["peers"]), 3)
        code, out, _ = self.run_velo("info", "-d", self.folder, "--balance", self.id[:8])
        self.assertEqual(code, 0)
        self.assertIn("balanced", out)
        self.assertRegex(out, r"RECEIVER +RECEIVED")
        self.assertNotIn("SENDER", out, "neither of the two sent anything")
        self.assert_fails(3, "no announced peer", "info", "-d", self.folder, "--balance", "nobody")
        self.assert_fails(2, "where they are found", "info", "--balance")

    def test_handlers_are_listed_velos_own_marked(self):
        handlers = self.run_json("handlers", "-d", self.folder, "--peer", self.id[:8])
        self.assertEqual([h["name"] for h in handlers if not h["system"]], ["add", "echo", "notify"])
        self.assertIn("_hello", [h["name"] for h in handlers if h["system"]])

    def test_a_typed_call_prints_its_answer_as_json(self):
        self.assertEqual(self.call("add", "--json", '{"a": 40, "b": 2}')[:2], (0, '{"sum":42}\n'))
        shown = self.call_json("add", "--json", '{"a": -1, "b": 9007199254740993}')
        self.assertEqual(shown["reply"], {"sum": 9007199254740992})
        self.assertEqual((shown["reply_kind"], shown["kind"]), ("json", "unary"))
        self.assertEqual((shown["handler"], shown["peer"]), ("add", self.id))

    def test_raw_answers_are_text_where_they_can_be_and_hexadecimal_otherwise(self):
        self.assertEqual(self.call("echo", "--raw", "grüße")[:2], (0, "grüße\n"))
        self.assertEqual(self.call("echo")[:2], (0, "\n"))
        binary = self.scratch / "binary"
        binary.write_bytes(b"\xff\xfe\x00\x01")
        self.assertEqual(self.call("echo", "--file", binary)[:2], (0, "fffe0001\n"))
        shown = self.call_json("echo", "--file", binary)
        self.assertEqual((shown["reply_kind"], shown["reply"]), ("hex", "fffe0001"))
        self.assertEqual(shown["headers"], {"echoed-bytes": "4"})

    def test_a_file_can_come_from_standard_input(self):
        process = self.start("call", "echo", "-d", self.folder, "--file", "-", stdin=subprocess.PIPE)
        out, _ = process.communicate(b"piped", timeout=60)
        self.assertEqual((process.returncode, out), (0, b"piped\n"))

    def test_a_message_at_the_limit_of_a_frame_is_refused_beyond_it(self):
        large = self.scratch / "large"
        large.write_bytes(b"x" * (15 << 20))
        self.assertEqual(len(self.call_json("echo", "--file", large)["reply"]), 15 << 20)
        large.write_bytes(b"x" * ((16 << 20) + 1))
        self.assert_fails(2, "16 MiB", "call", "echo", "-d", self.folder, "--file", large)

    def test_the_other_kinds_say_what_happened(self):
        self.assertEqual(self.call("notify", "--kind", "sync")[:2], (0, "acknowledged\n"))
        self.assertEqual(self.call("notify", "--kind", "fire")[:2], (0, "sent\n"))
        self.assertEqual(self.call_json("notify", "--kind", "sync")["reply_kind"], "none")

    def test_errors_of_the_handler_are_exit_code_1_with_a_hint(self):
        at = ("-d", self.folder)
        self.assert_fails(1, "unknown_handler", "call", "nothing", *at)
        self.assert_fails(1, "wrong_kind", "call", "notify", *at)
        self.assert_fails(1, "bad_request.*: b", "call", "add", *at, "--json", '{"a": 1, "b": "x"}')
        self.assert_fails(1, "does not fit", "call", "add", *at,
                          "--json", '{"a": 9223372036854775807, "b": 1}')

    def test_who_is_not_there_is_exit_code_3(self):
        self.assert_fails(3, "starts with", "call", "echo", "-d", self.folder, "--peer", "zzzz")
        self.assert_fails(3, "nobody", "call", "echo", "-d", self.folder, "--cluster", "other")

    def test_an_ambiguous_peer_is_a_usage_error(self):
        _, other = self.serve()
        self.assert_fails(2, "2 announced peers", "call", "echo", "-d", self.folder)
        self.assertEqual(self.call_json("echo", "--peer", other)["peer"], other)

    def test_a_peer_that_does_not_answer_in_time_is_exit_code_3(self):
        self.echo.send_signal(signal.SIGSTOP)
        try:
            self.assert_fails(3, "", "call", "echo", "-d", self.folder, "--timeout", "300ms")
        finally:
            self.echo.send_signal(signal.SIGCONT)

    def test_a_killed_peer_is_gone_at_once(self):
        self.echo.kill()
        self.echo.wait()
        self.assert_fails(3, "nobody", "call", "echo", "-d", self.folder)

    def connected(self):
        """A socket to the process that serves, which has told nobody who it is."""
        if self.transport == "uds":
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(next(self.temporary.rglob("*.sock"))))
            return peer
        sockets = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{self.echo.pid}/fd").iterdir()}
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                peer = socket.socket()
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                peer.connect(("127.0.0.1", int(fields[1].split(":")[1], 16)))
                return peer
        raise AssertionError("it does not listen")

    def test_a_second_signal_ends_a_drain_that_waits(self):
        """Somebody asks for 24 MiB and reads nothing, so that the flush has to wait."""
        with self.connected() as deaf:
            body = bytes(1 << 20)
            for i in range(24):
                header = b"\1\2" + struct.pack("<QQH", 77, i, 4) + b"echo" + b"\0\0"
                deaf.sendall(struct.pack(">HBII", 1, 0, len(header), len(body)) + header + body)
            wait_until(lambda: self.call_json("echo")["peer"], "everything sent before was taken in")
            self.echo.send_signal(signal.SIGTERM)
            wait_until(lambda: not list(self.folder.rglob("*.json")), "the drain began")
            self.assertIsNone(self.echo.poll())
            self.echo.send_signal(signal.SIGTERM)
            code, out, err = self.finish(self.echo)
        self.assertEqual((code, out), (128 + signal.SIGTERM, ""))
        self.assertRegex(err, r"\Avelo: ended by a second signal; [^\n]* queued; hint: one signal drains\n\Z")
        self.assert_nothing_left()

    def test_a_signal_drains_and_reports(self):
        self.call("echo", "--raw", "x")
        self.call("nothing")
        self.echo.send_signal(signal.SIGTERM)
        code, out, err = self.finish(self.echo)
        self.assertEqual((code, err), (0, ""))
        ended = json.loads(out)
        self.assertEqual((ended["requests"], ended["succeeded"], ended["rejected"]), (2, 1, 1))
        self.assertEqual(self.run_json("info", "-d", self.folder), [])
        self.assert_nothing_left()


class CallsOverUds(Calls):
    transport = "uds"


    def test_a_folder_that_cannot_be_used_is_told_and_not_served_in(self):
        file = self.scratch / "file"
        file.write_text("")
        code, out, err = self.run_velo("echo", "-d", file)
        self.assertEqual((code, out), (1, ""))
        self.assertIn("velo: cannot start: ", err)


class Terminal(ProgramTest):
    def test_a_progress_bar_appears_on_a_terminal_unless_unwanted(self):
        tree = self.scratch / "tree"
        tree.mkdir()
        for i in range(50):
            (tree / str(i)).write_text("x\n" * i)
        self.assertIn(b"/50  ", self.errors_on_a_terminal("demo", tree))
        self.assertEqual(self.errors_on_a_terminal("demo", tree, "--no-progress"), b"")

    def errors_on_a_terminal(self, *arguments):
        ours, theirs = pty.openpty()
        process = self.start(*arguments, stderr=theirs, stdout=subprocess.DEVNULL)
        os.close(theirs)
        seen = b""
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            while True:
                try:
                    part = terminal.read(4096)
                except OSError:  # how a terminal without a writer ends
                    break
                if not part:
                    break
                seen += part
        self.assertEqual(process.wait(), 0)
        return seen


if __name__ == "__main__":
    assert VELO.exists(), f"{VELO} is not built"
    assert pathlib.Path("/proc").is_dir()
    unittest.main()
