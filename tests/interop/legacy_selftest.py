# SPDX-License-Identifier: Apache-2.0
"""Tests of legacy_peer.py: two of them talk to each other, and its bytes are those of docs/protocols/messenger.md."""

import json
import pathlib
import socket
import subprocess
import sys
import unittest
import uuid

import legacy_peer
import legacy_wire as wire
from legacy_peer import CallError, LegacyPeer

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/protocols/messenger.md"


class Pair(unittest.TestCase):
    def setUp(self):
        self.a, self.b = LegacyPeer(), LegacyPeer(old_endpoint=True)
        self.addCleanup(self.a.close)
        self.addCleanup(self.b.close)

    def counts(self, peer):
        return peer.book.as_json()["counts"]

    def test_calls_work_in_both_directions(self):
        for from_, to in ((self.a, self.b), (self.b, self.a)):
            self.assertEqual(from_.call(to.peer_info, "echo", payload=b"\0ping")[:2], (True, b"\0ping"))
            self.assertEqual(from_.call(to.peer_info, "echo", payload=b"x" * 300_000)[1], b"x" * 300_000)
            body = json.dumps({"a": 2, "b": 40}).encode()
            self.assertEqual(json.loads(from_.call(to.peer_info, "add", "typed", body)[1]), {"sum": 42})

    def test_replies_are_dialed_back(self):
        self.a.call(self.b.peer_info, "echo")
        self.assertEqual(self.counts(self.a).get("accepted response"), 2)  # _hello's and echo's
        self.assertEqual(self.counts(self.b)["accepted message"], 2)
        self.assertNotIn("dialed response", self.counts(self.a))

    def test_the_four_patterns(self):
        self.assertEqual(self.a.call(self.b.peer_info, "sink", "fire", b"1")[:2], (True, b""))
        ok, payload, details = self.a.call(self.b.peer_info, "sink", "sync", b"2")
        self.assertEqual((ok, payload, details), (True, b"", {"ack": True}))
        self.assertTrue(self.b.book.wait_for("sunk", 2))
        self.assertEqual(sorted(self.b.book.as_json()["sunk"]), ["31", "32"])
        ok, text, details = self.a.call(self.b.peer_info, "sink", "unary")
        self.assertFalse(ok)
        self.assertIn(b"incorrectly routed", text)

    def test_errors_are_text(self):
        ok, text, details = self.a.call(self.b.peer_info, "fail", payload=b"why")
        self.assertEqual((ok, text, details["outcome"]), (False, b"why", 1))
        ok, text, details = self.a.call(self.b.peer_info, "fail", "sync")
        self.assertEqual((ok, text, details), (False, b"deliberate failure", {"ack": True}))
        ok, text, _ = self.a.call(self.b.peer_info, "add", "typed", b"{")
        self.assertFalse(ok)

    def test_a_handler_that_is_not_listed_is_not_called(self):
        with self.assertRaisesRegex(CallError, "Handler 'nothing' not found"):
            self.a.call(self.b.peer_info, "nothing")
        self.assertEqual([r["handler"] for r in self.b.book.as_json()["requests"]], ["_hello", "_hello"])

    def test_an_unknown_handler_is_answered_with_an_ack(self):
        self.a.call(self.b.peer_info, "echo")
        ok, text, details = self.a.call(self.b.peer_info, "_nothing")
        self.assertEqual((ok, text, details), (False, b"Handler '_nothing' not found", {"ack": True}))

    def test_responses_echo_the_requests_headers(self):
        for headers in (None, {}, {"k": "v", "clé": "é" * 100}):
            self.assertEqual(self.a.call(self.b.peer_info, "echo", headers=headers)[2]["headers"], headers)

    def test_a_requester_that_never_said_hello_gets_no_reply(self):
        with self.assertRaisesRegex(CallError, "no reply"):
            self.a.call(self.b.peer_info, "_list_handlers", seconds=0.2)
        self.assertTrue(self.b.book.wait_for("dropped: reply to an unknown requester"))

    def test_one_header_that_is_no_text_drops_the_message(self):
        instance = self.a.peers.register(self.b.peer_info)
        self.a.hello(instance)
        headers = wire.pack({"good": "text", "k": 7})
        header = wire.Request(wire.UNARY, wire.make_id(self.a.worker, 9, 9), "echo").encode()[:-2]
        header += len(headers).to_bytes(2, "little") + headers
        self.a._send(instance, wire.MESSAGE, header, b"")
        self.assertTrue(self.a.call(self.b.peer_info, "echo")[0])
        self.assertEqual(self.counts(self.b)["dropped: a header is not text to text"], 1)

    def test_while_draining_requests_are_echoed_and_replies_still_flow(self):
        self.a.call(self.b.peer_info, "echo")
        self.b.draining = True
        ok, text, details = self.a.call(self.b.peer_info, "echo")
        self.assertEqual((ok, text, details), (False, b"request rejected: peer is shutting down", {"echo": True}))
        self.assertEqual(self.counts(self.a)["dialed shutting_down"], 1)
        self.assertTrue(self.b.call(self.a.peer_info, "echo")[0])

    def test_a_reply_on_the_dialed_connection_reaches_only_the_newest_peers(self):
        for reads_dialed in (False, True):
            caller = LegacyPeer(reads_dialed=reads_dialed)
            self.addCleanup(caller.close)
            with socket.create_server(("127.0.0.1", 0)) as server:
                endpoint = wire.encode_endpoint(*server.getsockname())
                info = wire.peer_info_json(wire.new_instance(), {"tcp": endpoint})
                instance = caller.peers.register(info)
                caller.peers.set_handlers(instance, ["echo"])
                answer = ReplyOnTheSameConnection(server)
                answer.start()
                if reads_dialed:
                    self.assertEqual(caller.call(info, "echo", payload=b"p")[:2], (True, b"p"))
                else:
                    with self.assertRaisesRegex(CallError, "no reply"):
                        caller.call(info, "echo", payload=b"p", seconds=0.2)
                caller.close()
                answer.join()

    def test_what_is_no_frame_closes_the_connection(self):
        address = wire.decode_endpoint(wire.parse_peer_info(self.a.peer_info)[1]["tcp"])
        for preamble in (b"\0\2\0" + bytes(8), b"\0\1\5" + bytes(8), b"\0\1\0" + b"\xff" * 8):
            with socket.create_connection(address) as sock:
                sock.settimeout(10)
                sock.sendall(preamble)
                self.assertEqual(sock.recv(1), b"")

    def test_a_lost_connection_is_dialed_again(self):
        self.a.call(self.b.peer_info, "echo")
        self.a.drop_connections()
        self.assertTrue(self.b.book.wait_for("connection ended", 2))
        self.assertEqual(self.a.call(self.b.peer_info, "echo", payload=b"again")[1], b"again")


class ReplyOnTheSameConnection(legacy_peer.threading.Thread):
    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server

    def run(self):
        sock, _ = self.server.accept()
        with sock, sock.makefile("rb") as stream:
            _, header, payload = wire.read_frame(stream)
            request = wire.decode_request(header)
            sock.sendall(wire.encode_frame(wire.RESPONSE, wire.encode_response(request.id, True, None), payload))
            stream.read(1)  # until the caller is done


class Program(unittest.TestCase):
    def test_commands_come_and_go_as_lines(self):
        with legacy_peer_process() as process, legacy_peer_process() as other:
            info, theirs = read(process)["peer_info"], read(other)["peer_info"]
            tell(process, {"id": 1, "call": {"peer_info": theirs, "handler": "add", "kind": "typed", "json": {"a": 1, "b": 2}}})
            self.assertEqual(read(process)["result"]["json"], {"sum": 3})
            tell(other, {"id": "x", "call": {"peer_info": info, "handler": "echo", "payload_hex": "00ff", "headers": {"k": "v"}}})
            answer = read(other)
            self.assertEqual((answer["id"], answer["result"]["payload_hex"]), ("x", "00ff"))
            tell(process, {"id": 2, "stats": {}})
            self.assertEqual(read(process)["result"]["requests"][-1]["headers"], {"k": "v"})
            tell(process, {"id": 3, "nonsense": 1})
            self.assertFalse(read(process)["result"]["ok"])
            for one in (process, other):
                tell(one, {"quit": True})
                self.assertEqual(one.wait(10), 0)


def legacy_peer_process():
    return subprocess.Popen([sys.executable, legacy_peer.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def tell(process, command):
    process.stdin.write(json.dumps(command) + "\n")
    process.stdin.flush()


def read(process):
    return json.loads(process.stdout.readline())


class Bytes(unittest.TestCase):
    def test_worker_ids_are_xxh3_of_the_uuid(self):
        self.assertEqual(wire.worker_id(uuid.UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")), 15504276320438635411)
        self.assertEqual(wire.worker_id(uuid.UUID(bytes=bytes(range(16)))), 9463720498221773019)

    def test_messagepack_reads_what_it_wrote(self):
        for value in (None, True, 0, 127, 128, 255, 65535, 2**32, 2**64 - 1, -1, -32, -33, -129, -(2**63), "", "x" * 31, "x" * 32,
                      "x" * 70000, b"", b"b" * 300, [], [1] * 16, {}, {str(i): [i] for i in range(20)}):  # fmt: skip
            self.assertEqual(wire.unpack(wire.pack(value)), value)

    @unittest.skipUnless(PAGE.exists(), "no protocol page")
    def test_the_protocol_page_has_the_same_bytes(self):
        checked = 0
        for vector in vectors(PAGE.read_text()):
            with self.subTest(vector["name"]):
                checked += check_vector(self, vector)
        self.assertGreaterEqual(checked, 12)


def vectors(page):
    """The entries of the page's fenced `vectors` blocks: lines `key: value`, entries apart by an empty line."""
    inside, entry = False, {}
    for line in page.splitlines():
        if line.startswith("```"):
            inside = line.strip() == "```vectors"
        elif inside and ": " in line:
            key, _, value = line.partition(": ")
            entry[key] = value
            continue
        if entry:
            yield entry
            entry = {}


def check_vector(test, vector):
    """Whether the vector is one that the public velo knows; fails where its bytes differ."""
    fields = json.loads(vector["fields"]) if "fields" in vector else None
    data = bytes.fromhex(vector.get("hex", ""))
    check = {"request": check_request, "response": check_response, "ack": check_ack, "frame": check_frame,
             "hello_request": check_hello}.get(vector["kind"])  # fmt: skip
    if check is None or (fields is None and vector.get("legacy") == "accepted"):
        return 0
    if fields is None or vector.get("legacy") == "refused":
        with test.assertRaises((wire.WireError, EOFError)):
            check(test, data if "hex" in vector else vector["text"].encode(), {})
        return 1
    check(test, data if "hex" in vector else vector["text"].encode(), fields)
    return 1


def id_of(fields):
    return wire.make_id(int(fields["requester"], 16), 0, 0) | int(fields["local"], 16) << 64


def check_request(test, data, fields):
    request = wire.decode_request(data)
    test.assertEqual(request.name, fields["name"])
    test.assertEqual(wire.RESPONSE_TYPES[request.response_type], fields["type"])
    test.assertEqual((request.id, request.headers), (id_of(fields), fields.get("headers")))
    test.assertEqual(request.encode(), data)


def check_response(test, data, fields):
    message_id, outcome, headers = wire.decode_response(data)
    test.assertEqual((message_id, outcome, headers), (id_of(fields), fields["outcome"], fields.get("headers")))
    if outcome < 2:
        test.assertEqual(wire.encode_response(message_id, outcome == 0, headers), data)


def check_ack(test, data, fields):
    test.assertEqual(wire.decode_ack(data), (id_of(fields), fields["event"], fields["error"]))
    test.assertEqual(wire.encode_ack(id_of(fields), not fields["error"], fields["event"]), data)


def check_frame(test, data, fields):
    import io

    kind, header, payload = wire.read_frame(io.BytesIO(data))
    test.assertEqual((wire.FRAME_TYPES[kind], header.hex(), payload.hex()), (fields["type"], fields["header"], fields["payload"]))
    test.assertEqual(wire.encode_frame(kind, header, payload), data)


def check_hello(test, text, fields):
    instance, entries = wire.parse_peer_info((wire.from_json(text) or {}).get("peer_info"))
    test.assertEqual(str(instance), fields["instance_id"])
    test.assertEqual({key: entry.hex() for key, entry in entries.items()}, fields["address"])


def run(arguments):
    program = unittest.main(module="legacy_selftest", argv=["legacy_selftest", *arguments], exit=False)
    return 0 if program.result.wasSuccessful() else 1
