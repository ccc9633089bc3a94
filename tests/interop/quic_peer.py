#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node of velo over QUIC by another implementation (aioquic), written from docs/protocols and sharing nothing with our C++.
Commands and answers are lines of JSON, as of legacy_peer.py; README.md has them. Exit code 77: aioquic is not installed.

It has an identity (a directory with authority.der, certificate.der and key.der), proves its instance in each greeting and asks
for the same of others."""

import argparse
import asyncio
import hashlib
import json
import pathlib
import ssl
import sys
import threading
import uuid

sys.dont_write_bytecode = True
import legacy_wire as wire  # noqa: E402

try:
    from aioquic.asyncio.protocol import QuicConnectionProtocol
    from aioquic.asyncio.server import serve
    from aioquic.quic.configuration import QuicConfiguration
    from aioquic.quic.connection import QuicConnection
    from aioquic.quic.events import ConnectionTerminated, DatagramFrameReceived, StreamDataReceived
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
except ImportError as error:
    print(json.dumps({"skip": f"{error}"}), flush=True)
    sys.exit(77)

PROTOCOL = "velo/1"
REQUEST, ANSWER = 1, 2
CONNECT_SECONDS = 10
QUIC_VERSIONS = {"1": 0x00000001, "2": 0x6B3343CF}
STREAM_DATA_MAX, DATA_MAX, DATAGRAM_FRAME_MAX = 8 << 20, 16 << 20, 65535


class CallError(Exception):
    """How a call ends other than well."""


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def instance_of_key(raw):
    """The instance id that a key of 32 bytes stands for: a UUID of version 8."""
    digest = bytearray(hashlib.sha256(b"velo instance v1" + raw).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return uuid.UUID(bytes=bytes(digest))


def statement(instance, receiver, role, channel):
    return b"velo instance binding v1" + instance.bytes + receiver.to_bytes(8, "little") + bytes([role]) + channel


class Identity:
    """The node's certificate, whom it believes, and the key of this run."""

    def __init__(self, folder):
        self.authority = x509.load_der_x509_certificate((folder / "authority.der").read_bytes())
        self.certificate = x509.load_der_x509_certificate((folder / "certificate.der").read_bytes())
        self.key = serialization.load_der_private_key((folder / "key.der").read_bytes(), None)
        self.run_key = Ed25519PrivateKey.generate()
        self.run_public = self.run_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.instance = instance_of_key(self.run_public)
        self.worker = wire.worker_id(self.instance)

    def judge(self, certificate):
        """CallError unless our authority issued it."""
        if certificate is None:
            raise CallError("no certificate was shown")
        try:
            self.authority.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes)
        except InvalidSignature as error:
            raise CallError("a certificate of another authority") from error

    def proof(self, receiver, role):
        channel = hashlib.sha256(spki(self.certificate.public_key())).digest()
        signature = self.run_key.sign(statement(self.instance, receiver, role, channel))
        return {"key": self.run_public.hex(), "sig": signature.hex()}

    def check_proof(self, offer, instance, role, certificate):
        """That `instance` itself speaks, on the connection that this certificate protects."""
        try:
            key, signature = (bytes.fromhex(offer["bind"][name]) for name in ("key", "sig"))
            if instance_of_key(key) != instance:
                raise CallError("the key of another instance")
            channel = hashlib.sha256(spki(certificate.public_key())).digest()
            Ed25519PublicKey.from_public_bytes(key).verify(signature, statement(instance, self.worker, role, channel))
        except (KeyError, TypeError, ValueError, InvalidSignature) as error:
            raise CallError(f"no proof of the instance: {error!r}") from error


class Node:
    """What connections share: identity, handlers, counts."""

    def __init__(self, identity, options):
        self.identity, self.options = identity, options
        self.counts, self.sunk = {}, []
        self.peer_info = None
        self.connections = {}
        self.slots = 0
        self.handlers = {"_hello": None, "_list_handlers": None, "echo": lambda payload: payload, "sink": self._sink,
                         "name": lambda _: PROTOCOL.encode()}  # fmt: skip

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def _sink(self, payload):
        self.sunk.append(payload.hex())
        return b""

    def configuration(self, is_client):
        made = QuicConfiguration(is_client=is_client, alpn_protocols=self.options.alpn or [PROTOCOL], max_data=DATA_MAX,
                                 max_stream_data=STREAM_DATA_MAX, max_datagram_frame_size=DATAGRAM_FRAME_MAX,
                                 verify_mode=ssl.CERT_NONE)  # fmt: skip
        made.supported_versions = [QUIC_VERSIONS[name] for name in self.options.versions]
        if is_client:
            made.original_version = made.supported_versions[0]
        if not (is_client and self.options.no_certificate):
            made.certificate, made.private_key = self.identity.certificate, self.identity.key
        return made

    def offer(self, receiver, role):
        window = {"calls": 1024, "bytes": 4 << 20}
        return {"v": 1, "inc": f"{self.identity.worker:016x}", "feat": ["same-conn", "status"],
                "max_frame": wire.FRAME_BYTES_MAX, "window": window, "bind": self.identity.proof(receiver, role)}  # fmt: skip

    def next_id(self):
        self.slots += 1
        return wire.make_id(self.identity.worker, self.slots % 65535, 1)


class Connection(QuicConnectionProtocol):
    """Frames on unidirectional streams. Requests of one handler share a stream, answers have one of their own."""

    STREAMS = 4

    def __init__(self, quic, node, stream_handler=None):
        super().__init__(quic, stream_handler)
        self.node, self.ended = node, asyncio.get_running_loop().create_future()
        self.certificate, self.greeted = None, False
        self._streams, self._buffers, self._pending = {}, {}, {}
        if not quic._is_client:
            self._ask_for_a_certificate(quic)

    @staticmethod
    def _ask_for_a_certificate(quic):
        """aioquic's servers can, but have no option for it."""
        begin = quic._initialize

        def initialize(peer_cid):
            begin(peer_cid)
            quic.tls._request_client_certificate = True

        quic._initialize = initialize

    # ---- bytes ----------------------------------------------------------------------------------

    def send(self, kind, header, payload, lane):
        data = wire.encode_frame(kind, header, payload)
        if lane not in self._streams:
            self._streams[lane] = self._quic.get_next_available_stream_id(is_unidirectional=True)
        self._quic.send_stream_data(self._streams[lane], data)
        self.transmit()

    def send_datagram(self, kind, header, payload):
        self._quic.send_datagram_frame(wire.encode_frame(kind, header, payload))
        self.transmit()

    def quic_event_received(self, event):
        try:
            if isinstance(event, StreamDataReceived):
                self.node.count("stream data")
                buffer = self._buffers.setdefault(event.stream_id, bytearray())
                buffer += event.data
                self._take_frames(buffer)
            elif isinstance(event, DatagramFrameReceived):
                self._take_frames(bytearray(event.data))
            elif isinstance(event, ConnectionTerminated):
                self._end(event)
        except (wire.WireError, CallError) as error:
            self.node.count(f"closed: {error}")
            self.close(error_code=1)

    def _end(self, event):
        self.node.count("connection ended")
        self.node.connections = {key: one for key, one in self.node.connections.items() if one is not self}
        why = CallError(f"closed: code {event.error_code:#x} {event.reason_phrase}".strip())
        if not self.ended.done():
            self.ended.set_result(why)
        if self._connected_waiter is not None and not self._connected_waiter.done():
            self._connected_waiter.set_exception(why)
        for future in self._pending.values():
            if not future.done():
                future.set_exception(why)

    def _take_frames(self, buffer):
        while len(buffer) >= wire.PREAMBLE.size:
            version, kind, header_size, payload_size = wire.PREAMBLE.unpack_from(buffer)
            if version != 1 or kind > wire.SHUTTING_DOWN or header_size + payload_size > wire.FRAME_BYTES_MAX:
                raise wire.WireError("no frame of velo")
            end = wire.PREAMBLE.size + header_size + payload_size
            if len(buffer) < end:
                return
            header = bytes(buffer[wire.PREAMBLE.size : wire.PREAMBLE.size + header_size])
            payload = bytes(buffer[wire.PREAMBLE.size + header_size : end])
            del buffer[:end]
            self._frame(kind, header, payload)

    # ---- frames ---------------------------------------------------------------------------------

    def _frame(self, kind, header, payload):
        self.node.count(wire.FRAME_TYPES[kind])
        if self.certificate is None:
            self.certificate = self._quic.tls._peer_certificate
            self.node.identity.judge(self.certificate)
        if kind == wire.MESSAGE:
            self._handle(wire.decode_request(header), payload)
        elif kind == wire.RESPONSE:
            message_id, outcome, _ = wire.decode_response(header)
            self._complete(message_id, outcome, payload)
        elif kind == wire.ACK:
            message_id, event, error = wire.decode_ack(header)
            if not event:
                self._complete(message_id, 1 if error else 0, payload)

    def _complete(self, message_id, outcome, payload):
        future = self._pending.pop(message_id, None)
        if future is None or future.done():
            self.node.count("stale reply")
        elif outcome != 0:
            future.set_exception(CallError(f"outcome {outcome}: {payload.decode(errors='replace')}"))
        else:
            future.set_result(payload)

    def _handle(self, request, payload):
        if request.name == "_hello":
            reply = self._answer_greeting(json.loads(payload))
        elif not self.greeted:
            raise CallError("a request before the greeting")
        elif request.name == "_list_handlers":
            reply = json.dumps({"handlers": sorted(self.node.handlers)}).encode()
        elif request.name in self.node.handlers:
            reply = self.node.handlers[request.name](payload)
        else:
            reply = None
        if request.response_type == wire.FIRE:
            return
        if request.response_type == wire.ACK_NACK and reply is not None:
            self.send(wire.ACK, wire.encode_ack(request.id, True), b"", "answers")
            return
        header = bytearray(wire.encode_response(request.id, reply is not None, None))
        if reply is None:
            header[16], reply = 2, f"no handler {request.name}".encode()
        self.send(wire.RESPONSE, bytes(header), reply, "answers")

    def _answer_greeting(self, hello):
        instance, _ = wire.parse_peer_info(hello["peer_info"])
        self.node.identity.check_proof(hello["velo"], instance, REQUEST, self.certificate)
        self.greeted = True
        body = {"handlers": sorted(self.node.handlers), "velo": self.node.offer(wire.worker_id(instance), ANSWER)}
        return json.dumps(body).encode()

    # ---- calling --------------------------------------------------------------------------------

    async def request(self, kind, name, payload, seconds, datagram=False):
        message_id = self.node.next_id()
        header = wire.Request(kind, message_id, name).encode()
        lane = "system" if name.startswith("_") else hash(name) % self.STREAMS
        if kind == wire.FIRE:
            if datagram:
                self.send_datagram(wire.MESSAGE, header, payload)
            else:
                self.send(wire.MESSAGE, header, payload, lane)
            return b""
        future = self._pending[message_id] = asyncio.get_running_loop().create_future()
        self.send(wire.MESSAGE, header, payload, lane)
        try:
            return await asyncio.wait_for(future, seconds)
        except asyncio.TimeoutError as error:
            raise CallError("no reply") from error
        finally:
            self._pending.pop(message_id, None)

    async def greet(self, instance):
        body = {"peer_info": self.node.peer_info, "velo": self.node.offer(wire.worker_id(instance), REQUEST)}
        answer = json.loads(await self.request(wire.UNARY, "_hello", json.dumps(body).encode(), CONNECT_SECONDS))
        self.node.identity.check_proof(answer["velo"], instance, ANSWER, self.certificate)
        self.greeted = True
        return answer


class Peer:
    """Dials and serves."""

    def __init__(self, node):
        self.node = node

    async def listen(self):
        server = await serve("127.0.0.1", 0, configuration=self.node.configuration(False), retry=self.node.options.retry,
                             create_protocol=lambda quic, stream_handler: Connection(quic, self.node))  # fmt: skip
        port = server._transport.get_extra_info("sockname")[1]
        entry = wire.encode_endpoint("127.0.0.1", port)
        self.node.peer_info = wire.peer_info_json(self.node.identity.instance, {"quic": entry})

    async def dial(self, peer_info):
        instance, entries = wire.parse_peer_info(peer_info)
        if instance in self.node.connections:
            return self.node.connections[instance]
        host, port = wire.decode_endpoint(entries["quic"])
        quic = QuicConnection(configuration=self.node.configuration(True))
        _, connection = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Connection(quic, self.node), local_addr=("127.0.0.1", 0))  # fmt: skip
        connection.connect((host, port))
        try:
            await asyncio.wait_for(connection.wait_connected(), CONNECT_SECONDS)
            await connection.greet(instance)
        except asyncio.TimeoutError as error:
            raise CallError("no connection in time") from error
        except (CallError, KeyError, ValueError, ConnectionError) as error:
            # What ended the connection says more than that it ended.
            await asyncio.wait([connection.ended], timeout=1)
            raise connection.ended.result() if connection.ended.done() else error
        self.node.connections[instance] = connection
        return connection

    async def call(self, peer_info, handler, kind="unary", payload_hex="", timeout_s=10, datagram=False):
        connection = await self.dial(peer_info)
        codes = {"fire": wire.FIRE, "sync": wire.ACK_NACK, "unary": wire.UNARY}
        reply = await connection.request(codes[kind], handler, bytes.fromhex(payload_hex), timeout_s, datagram)
        return {"ok": True, "payload_hex": reply.hex()}

    async def move(self, peer_info):
        """The connection goes on from another port of this host."""
        connection = await self.dial(peer_info)
        before = connection._transport
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: connection, local_addr=("127.0.0.1", 0))
        before.close()
        return {"ok": True}

    async def update_keys(self, peer_info):
        connection = await self.dial(peer_info)
        connection.request_key_update()
        return {"ok": True}

    async def run(self, command):
        try:
            if "call" in command:
                result = await self.call(**command["call"])
            elif "move" in command:
                result = await self.move(command["move"])
            elif "update_keys" in command:
                result = await self.update_keys(command["update_keys"])
            elif "stats" in command:
                result = {"ok": True, "counts": self.node.counts, "sunk": self.node.sunk}
            else:
                raise CallError("unknown command")
        except (CallError, wire.WireError, OSError, KeyError, TypeError, ValueError) as error:
            result = {"ok": False, "error": str(error) or repr(error)}
        print(json.dumps({"id": command.get("id"), "result": result}), flush=True)


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identity", type=pathlib.Path, required=True)
    parser.add_argument("--alpn", action="append", help=f"instead of {PROTOCOL}")
    parser.add_argument("--no-certificate", action="store_true", help="shows none when it dials")
    parser.add_argument("--versions", nargs="+", default=["1"], choices=list(QUIC_VERSIONS), help="of QUIC; the first is tried")
    parser.add_argument("--retry", action="store_true", help="makes everybody show where he is")
    options = parser.parse_args()
    peer = Peer(Node(Identity(options.identity), options))
    await peer.listen()
    print(json.dumps({"peer_info": peer.node.peer_info, "worker_id": peer.node.identity.worker}), flush=True)
    loop, lines = asyncio.get_running_loop(), asyncio.Queue()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    running = set()
    while (line := await lines.get()) is not None:
        if line.strip():
            running.add(asyncio.ensure_future(peer.run(json.loads(line))))
    for connection in list(peer.node.connections.values()):
        connection.close()


if __name__ == "__main__":
    asyncio.run(main())
