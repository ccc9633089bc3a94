# SPDX-License-Identifier: Apache-2.0
"""What a peer of the public velo knows: its peers, and (for tests) what happened."""

import threading

import legacy_wire as wire
from legacy_wire import WireError


class Peers:
    """Who is registered, where they listen, what they handle. A later registration replaces an earlier address."""

    def __init__(self):
        self._lock = threading.Lock()
        self._addresses, self._workers, self._handlers = {}, {}, {}

    def register(self, peer_info):
        instance, entries = wire.parse_peer_info(peer_info)
        if "tcp" not in entries:
            raise WireError("No compatible transports found")
        try:
            address = wire.decode_endpoint(entries["tcp"])
        except ValueError as error:
            raise WireError("No compatible transports found") from error
        with self._lock:
            self._addresses[instance] = address
            self._workers[wire.worker_id(instance)] = instance
        return instance

    def address(self, instance):
        with self._lock:
            return self._addresses[instance]

    def instance_of(self, worker):
        with self._lock:
            return self._workers.get(worker)

    def handlers(self, instance):
        with self._lock:
            return self._handlers.get(instance)

    def set_handlers(self, instance, names):
        with self._lock:
            self._handlers[instance] = set(names)


class Book:
    """What happened, for tests to look at."""

    def __init__(self):
        self._lock = threading.Condition()
        self._counts, self._requests, self._sunk = {}, [], []

    def count(self, what):
        with self._lock:
            self._counts[what] = self._counts.get(what, 0) + 1
            self._lock.notify_all()

    def request(self, header, request, payload):
        with self._lock:
            self._requests.append({"handler": request.name, "kind": wire.RESPONSE_TYPES[request.response_type],
                                   "schema": header[0], "headers": request.headers, "payload_hex": payload.hex()})  # fmt: skip

    def sink(self, payload):
        with self._lock:
            self._sunk.append(payload.hex())
            self._lock.notify_all()

    def wait_for(self, what, times=1, seconds=10):
        """Until `what` was counted, or `times` payloads were sunk if `what` is "sunk"; False if that never comes."""
        with self._lock:
            return self._lock.wait_for(
                lambda: (len(self._sunk) if what == "sunk" else self._counts.get(what, 0)) >= times, seconds
            )

    def as_json(self):
        with self._lock:
            return {"counts": dict(self._counts), "requests": list(self._requests), "sunk": list(self._sunk)}
