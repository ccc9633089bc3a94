#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A peer of the public velo over TCP, for tests of ours against it. Commands and answers are lines of JSON; README.md has them.

`legacy_peer.py` prints {"peer_info": ...} and serves until its input ends; `legacy_peer.py --selftest` tests itself."""

import argparse
import concurrent.futures
import itertools
import json
import socket
import sys
import threading

sys.dont_write_bytecode = True
import legacy_wire as wire  # noqa: E402
from legacy_books import Book, Peers  # noqa: E402
from legacy_wire import WireError  # noqa: E402

CONNECT_SECONDS = 5
HELLO_SECONDS = 30


class CallError(Exception):
    """How a call ends other than well: the public velo has nothing but text."""


class Connection:
    """A socket that one side dialed. Frames are written whole; reading is the business of whoever started it."""

    def __init__(self, sock, dialed):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.dialed = sock, dialed
        self.stream = sock.makefile("rb")
        self._write = threading.Lock()

    def send(self, kind, header, payload):
        with self._write:
            self.sock.sendall(wire.encode_frame(kind, header, payload))

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class LegacyPeer:
    """Requests leave on the connection this side dialed. Replies come in, and leave, on connections dialed to the requester's
    advertised address. What comes back on a dialed connection is ignored unless it is ShuttingDown (or `reads_dialed`, as the
    newest peers of the public velo)."""

    def __init__(self, reads_dialed=False, old_endpoint=False, host="127.0.0.1"):
        self.instance = wire.new_instance()
        self.worker = wire.worker_id(self.instance)
        self.peers, self.book = Peers(), Book()
        self.reads_dialed, self.draining = reads_dialed, False
        self._lock = threading.Lock()
        self._outgoing, self._accepted, self._pending = {}, [], {}
        self._slots = itertools.count()
        self._listener = socket.create_server((host, 0))
        port = self._listener.getsockname()[1]
        endpoint = f"tcp://{host}:{port}".encode() if old_endpoint else wire.encode_endpoint(host, port)
        self.peer_info = wire.peer_info_json(self.instance, {"tcp": endpoint})
        self._handlers = {"echo": self._echo, "add": self._add, "sink": self._sink, "fail": self._fail,
                          "silence": self._silence, "_hello": self._hello, "_list_handlers": self._list}  # fmt: skip
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.drop_connections()

    def drop_connections(self):
        with self._lock:
            connections = list(self._outgoing.values()) + self._accepted
            self._outgoing, self._accepted = {}, []
        for connection in connections:
            connection.close()

    # ---- sockets --------------------------------------------------------------------------------

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            connection = Connection(sock, dialed=False)
            with self._lock:
                self._accepted.append(connection)
            self.book.count("accepted")
            threading.Thread(target=self._read, args=(connection, None), daemon=True).start()

    def _connection_to(self, instance):
        with self._lock:
            if instance in self._outgoing:
                return self._outgoing[instance]
        sock = socket.create_connection(self.peers.address(instance), CONNECT_SECONDS)
        sock.settimeout(None)
        connection = Connection(sock, dialed=True)
        with self._lock:
            winner = self._outgoing.setdefault(instance, connection)
        if winner is not connection:
            connection.close()
            return winner
        self.book.count("dialed")
        threading.Thread(target=self._read, args=(connection, instance), daemon=True).start()
        return connection

    def _forget(self, connection, instance):
        with self._lock:
            if instance is not None and self._outgoing.get(instance) is connection:
                del self._outgoing[instance]
            if connection in self._accepted:
                self._accepted.remove(connection)
        connection.close()
        self.book.count("connection ended")

    def _send(self, instance, kind, header, payload):
        connection = self._connection_to(instance)
        try:
            connection.send(kind, header, payload)
        except OSError:
            self._forget(connection, instance)
            raise

    def _read(self, connection, instance):
        try:
            while True:
                self._frame(connection, *wire.read_frame(connection.stream))
        except WireError as error:
            self.book.count(f"closed: {error}")
        except (EOFError, OSError, ValueError):
            pass
        self._forget(connection, instance)

    def _frame(self, connection, kind, header, payload):
        where = "dialed" if connection.dialed else "accepted"
        self.book.count(f"{where} {wire.FRAME_TYPES[kind]}")
        if connection.dialed and kind != wire.SHUTTING_DOWN and not self.reads_dialed:
            self.book.count("ignored on a dialed connection")
            return
        if kind == wire.MESSAGE and self.draining and not connection.dialed:
            connection.send(wire.SHUTTING_DOWN, header, b"")
            return
        try:
            self._route(kind, header, payload)
        except WireError as error:
            self.book.count(f"dropped: {error}")

    def _route(self, kind, header, payload):
        if kind == wire.MESSAGE:
            request = wire.decode_request(header)
            self.book.request(header, request, payload)
            threading.Thread(target=self._handle, args=(request, payload), daemon=True).start()
        elif kind == wire.RESPONSE:
            message_id, outcome, headers = wire.decode_response(header)
            self._complete(message_id, outcome == 0, payload, {"outcome": outcome, "headers": headers})
        elif kind == wire.ACK:
            message_id, event, error = wire.decode_ack(header)
            if not event:
                self._complete(message_id, not error, payload, {"ack": True})
        elif kind == wire.SHUTTING_DOWN:
            message_id = wire.id_of_echoed_request(header)
            if message_id is not None:
                self._complete(message_id, False, b"request rejected: peer is shutting down", {"echo": True})

    def _complete(self, message_id, ok, payload, details):
        with self._lock:
            future = self._pending.pop(message_id, None)
        if future is None:
            self.book.count("stale reply")
        else:
            future.set_result((ok, payload, details))

    # ---- serving --------------------------------------------------------------------------------

    def _handle(self, request, payload):
        handler = self._handlers.get(request.name)
        if handler is None:
            if request.response_type != wire.FIRE:
                self._reply(request, wire.ACK, wire.encode_ack(request.id, False),
                            f"Handler '{request.name}' not found".encode())  # fmt: skip
            return
        try:
            ok, reply = True, handler(request, payload)
        except (CallError, WireError) as error:
            ok, reply = False, str(error).encode()
        if reply is None or request.response_type == wire.FIRE:
            return
        if request.response_type == wire.ACK_NACK:
            self._reply(request, wire.ACK, wire.encode_ack(request.id, ok), b"" if ok else reply)
            return
        if handler == self._sink:
            ok, reply = False, b"Unary message incorrectly routed to AM handler 'sink'"
        self._reply(request, wire.RESPONSE, wire.encode_response(request.id, ok, request.headers), reply)

    def _reply(self, request, kind, header, payload):
        instance = self.peers.instance_of(wire.requester(request.id))
        if instance is None:
            self.book.count("dropped: reply to an unknown requester")
            return
        try:
            self._send(instance, kind, header, payload)
        except (OSError, WireError) as error:
            self.book.count(f"dropped: reply not sent: {error}")

    def _echo(self, _request, payload):
        return payload

    def _add(self, _request, payload):
        numbers = wire.from_json(payload)
        try:
            return json.dumps({"sum": numbers["a"] + numbers["b"]}).encode()
        except (TypeError, KeyError) as error:
            raise CallError(f"Failed to deserialize input: {error}") from error

    def _sink(self, _request, payload):
        self.book.sink(payload)
        return b""

    def _fail(self, _request, payload):
        raise CallError(payload.decode(errors="replace") or "deliberate failure")

    def _silence(self, _request, _payload):
        return None

    def _hello(self, _request, payload):
        hello = wire.from_json(payload)
        if not isinstance(hello, dict):
            raise CallError("Failed to deserialize input")
        self.peers.register(hello.get("peer_info"))
        return self._list(_request, payload)

    def _list(self, _request, _payload):
        return json.dumps({"handlers": sorted(self._handlers)}).encode()

    # ---- calling --------------------------------------------------------------------------------

    def request(self, instance, kind, name, payload, headers, seconds):
        """(ok, payload, details) of one request; without a reply the public velo would wait for ever, this gives up."""
        message_id = wire.make_id(self.worker, next(self._slots) % 65535, 1)
        future = concurrent.futures.Future()
        if kind != wire.FIRE:
            with self._lock:
                self._pending[message_id] = future
        try:
            self._send(instance, wire.MESSAGE, wire.Request(kind, message_id, name, headers).encode(), payload)
            if kind == wire.FIRE:
                return True, b"", {}
            return future.result(seconds)
        except concurrent.futures.TimeoutError as error:
            raise CallError("no reply") from error
        except (OSError, WireError) as error:
            raise CallError(f"not sent: {error}") from error
        finally:
            with self._lock:
                self._pending.pop(message_id, None)

    def hello(self, instance):
        body = json.dumps({"peer_info": self.peer_info}).encode()
        ok, payload, _ = self.request(instance, wire.UNARY, "_hello", body, None, HELLO_SECONDS)
        if not ok:
            raise CallError(f"Handshake failed: {payload.decode(errors='replace')}")
        if not payload:
            raise CallError("Expected response from _hello, got empty acknowledgment")
        names = json.loads(payload)["handlers"]
        self.peers.set_handlers(instance, names)
        return names

    def call(self, peer_info, handler, kind="unary", payload=b"", headers=None, seconds=10):
        """As a client of the public velo: registers, greets where it must, refuses handlers that the peer does not list."""
        instance = self.peers.register(peer_info)
        if not handler.startswith("_"):
            if self.peers.handlers(instance) is None:
                self.hello(instance)
            if handler not in self.peers.handlers(instance):
                self.hello(instance)
            if handler not in self.peers.handlers(instance):
                raise CallError(f"Handler '{handler}' not found on instance {instance}")
        codes = {"fire": wire.FIRE, "sync": wire.ACK_NACK, "unary": wire.UNARY, "typed": wire.UNARY}
        return self.request(instance, codes[kind], handler, payload, headers, seconds)


# ---- commands -----------------------------------------------------------------------------------


class Commands:
    """One line in, one line out, each carrying the "id" it was given; commands run side by side."""

    def __init__(self, peer, out):
        self.peer, self.out, self._lock = peer, out, threading.Lock()

    def say(self, line):
        with self._lock:
            print(json.dumps(line), file=self.out, flush=True)

    def run(self, command):
        try:
            result = self._dispatch(command)
        except CallError as error:
            result = {"ok": False, "error": str(error)}
        except (WireError, OSError, KeyError, TypeError, ValueError) as error:
            result = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        self.say({"id": command.get("id"), "result": result})

    def _dispatch(self, command):
        if "call" in command:
            return self._call(**command["call"])
        if "hello" in command:
            return {"ok": True, "handlers": self.peer.hello(self.peer.peers.register(command["hello"]))}
        if "register" in command:
            return {"ok": True, "instance_id": str(self.peer.peers.register(command["register"]))}
        if "stats" in command:
            return {"ok": True, **self.peer.book.as_json()}
        if "drain" in command:
            self.peer.draining = bool(command["drain"])
            return {"ok": True}
        if "drop_connections" in command:
            self.peer.drop_connections()
            return {"ok": True}
        raise CallError("unknown command")

    def _call(self, peer_info, handler, kind="unary", payload_hex="", headers=None, timeout_s=10, **body):
        payload = json.dumps(body["json"]).encode() if "json" in body else bytes.fromhex(payload_hex)
        ok, reply, details = self.peer.call(peer_info, handler, kind, payload, headers, timeout_s)
        if not ok:
            return {"ok": False, "error": reply.decode(errors="replace"), **details}
        result = {"ok": True, "payload_hex": reply.hex(), **details}
        if kind == "typed":
            result["json"] = json.loads(reply)  # An empty reply is an error to the public velo.
        return result


def serve(peer):
    commands = Commands(peer, sys.stdout)
    commands.say({"peer_info": peer.peer_info, "worker_id": peer.worker})
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            command = json.loads(line)
        except ValueError as error:
            commands.say({"id": None, "result": {"ok": False, "error": f"no JSON: {error}"}})
            continue
        if "quit" in command:
            break
        threading.Thread(target=commands.run, args=(command,), daemon=True).start()
    peer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--selftest", action="store_true", help="two of these peers talk to each other")
    parser.add_argument("--reads-dialed", action="store_true", help="take replies from dialed connections too")
    parser.add_argument("--old-endpoint", action="store_true", help='advertise "tcp://host:port" instead of interfaces')
    arguments, rest = parser.parse_known_args()
    if arguments.selftest:
        import legacy_selftest

        return legacy_selftest.run(rest)
    serve(LegacyPeer(reads_dialed=arguments.reads_dialed, old_endpoint=arguments.old_endpoint))
    return 0


if __name__ == "__main__":
    sys.exit(main())
