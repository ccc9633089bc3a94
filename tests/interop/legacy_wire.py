# SPDX-License-Identifier: Apache-2.0
"""The wire of the public velo, written from its description and sharing nothing with our C++: MessagePack, ids, headers,
frames, addresses. What the public velo tolerates (bytes after a header) is tolerated here, what it drops is dropped."""

import dataclasses
import json
import struct
import uuid

MESSAGE, RESPONSE, ACK, EVENT, SHUTTING_DOWN = range(5)
FRAME_TYPES = ("message", "response", "ack", "event", "shutting_down")
FIRE, ACK_NACK, UNARY = range(3)
RESPONSE_TYPES = ("fire", "ack_nack", "unary")
FRAME_BYTES_MAX = 16 * 1024 * 1024
HEADER_VALUE_BYTES_MAX = 1024
HEADERS_BYTES_MAX = 16384
PREAMBLE = struct.Struct(">HBII")
MASK64 = (1 << 64) - 1


class WireError(Exception):
    """Bytes that the public velo does not take."""


# ---- identity -----------------------------------------------------------------------------------


def _read64(data, at):
    return int.from_bytes(data[at : at + 8], "little")


# Bytes 24 to 55 of XXH3's default secret: all that inputs of 9 to 16 bytes need.
_SECRET = bytes.fromhex("7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221b8084674f743248e")


def worker_id(instance):
    """xxh3_64 of the 16 bytes of the instance's UUID."""
    data = instance.bytes
    low = _read64(data, 0) ^ _read64(_SECRET, 0) ^ _read64(_SECRET, 8)
    high = _read64(data, 8) ^ _read64(_SECRET, 16) ^ _read64(_SECRET, 24)
    product = low * high
    swapped = int.from_bytes(low.to_bytes(8, "little"), "big")
    value = (16 + swapped + high + ((product & MASK64) ^ (product >> 64))) & MASK64
    value ^= value >> 37
    value = value * 0x165667919E3779F9 & MASK64
    return value ^ value >> 32


def new_instance():
    while True:
        instance = uuid.uuid4()
        if worker_id(instance) != 0:
            return instance


# ---- MessagePack --------------------------------------------------------------------------------


def _pack_length(size, fix, fix_max, tags):
    if size <= fix_max:
        return bytes([fix | size])
    for tag, form in tags:
        if size <= (1 << 8 * struct.calcsize(form)) - 1:
            return bytes([tag]) + struct.pack(form, size)
    raise WireError("too long for MessagePack")


def _pack_integer(value):
    if 0 <= value < 128 or -32 <= value < 0:
        return struct.pack(">b" if value < 0 else ">B", value)
    tags = ((0xD0, ">b"), (0xD1, ">h"), (0xD2, ">i"), (0xD3, ">q")) if value < 0 else (
        (0xCC, ">B"), (0xCD, ">H"), (0xCE, ">I"), (0xCF, ">Q"))
    for tag, form in tags:
        try:
            return bytes([tag]) + struct.pack(form, value)
        except struct.error:
            continue
    raise WireError("too large for MessagePack")


def pack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _pack_integer(value)
    if isinstance(value, str):
        data = value.encode()
        return _pack_length(len(data), 0xA0, 31, ((0xD9, ">B"), (0xDA, ">H"), (0xDB, ">I"))) + data
    if isinstance(value, bytes):
        return _pack_length(len(value), 0, -1, ((0xC4, ">B"), (0xC5, ">H"), (0xC6, ">I"))) + value
    if isinstance(value, (list, tuple)):
        return _pack_length(len(value), 0x90, 15, ((0xDC, ">H"), (0xDD, ">I"))) + b"".join(map(pack, value))
    if isinstance(value, dict):
        head = _pack_length(len(value), 0x80, 15, ((0xDE, ">H"), (0xDF, ">I")))
        return head + b"".join(pack(key) + pack(item) for key, item in value.items())
    raise WireError(f"no MessagePack for {type(value).__name__}")


class Unpacker:
    """Reads one value; like the public velo's reader it does not look at what follows."""

    SCALARS = {0xC0: None, 0xC2: False, 0xC3: True}
    NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
               0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}  # fmt: skip
    SIZED = {0xD9: ("text", ">B"), 0xDA: ("text", ">H"), 0xDB: ("text", ">I"),
             0xC4: ("bytes", ">B"), 0xC5: ("bytes", ">H"), 0xC6: ("bytes", ">I"),
             0xDC: ("list", ">H"), 0xDD: ("list", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I")}  # fmt: skip

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        part = self.data[self.at : self.at + count]
        if len(part) != count:
            raise WireError("MessagePack ends early")
        self.at += count
        return part

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth=0):
        if depth > 64:
            raise WireError("nested too deeply")
        tag = self.take(1)[0]
        if tag < 0x80:
            return tag
        if tag >= 0xE0:
            return tag - 256
        for start, mask, kind in ((0x80, 15, "map"), (0x90, 15, "list"), (0xA0, 31, "text")):
            if tag & ~mask == start:
                return self.sized(kind, tag & mask, depth)
        if tag in self.SCALARS:
            return self.SCALARS[tag]
        if tag in self.NUMBERS:
            return self.number(self.NUMBERS[tag])
        if tag in self.SIZED:
            kind, form = self.SIZED[tag]
            return self.sized(kind, self.number(form), depth)
        raise WireError(f"MessagePack tag {tag:#x}")

    def sized(self, kind, size, depth):
        if kind == "text":
            try:
                return self.take(size).decode()
            except UnicodeDecodeError as error:
                raise WireError("text is not UTF-8") from error
        if kind == "bytes":
            return bytes(self.take(size))
        if size > len(self.data) - self.at:
            raise WireError("MessagePack ends early")
        if kind == "list":
            return [self.value(depth + 1) for _ in range(size)]
        pairs = {}
        for _ in range(size):
            key = self.value(depth + 1)
            if isinstance(key, (list, dict)):
                raise WireError("a container as a key")
            pairs[key] = self.value(depth + 1)
        return pairs


def unpack(data):
    return Unpacker(data).value()


# ---- headers ------------------------------------------------------------------------------------


def encode_headers(headers):
    """Of None nothing, of an empty map one byte: the public velo tells them apart."""
    if headers is None:
        return b""
    for key, value in headers.items():
        if len(value.encode()) > HEADER_VALUE_BYTES_MAX:
            raise WireError(f"Header value too large: key '{key}'")
    data = pack(headers)
    if len(data) > HEADERS_BYTES_MAX:
        raise WireError("Total headers too large")
    return data


def decode_headers(data):
    if not data:
        return None
    headers = unpack(data)
    if not isinstance(headers, dict):
        raise WireError("headers are no map")
    for key, value in headers.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise WireError("a header is not text to text")
    return headers


def make_id(worker, slot, generation):
    return worker | slot << 64 | generation << 80


def requester(message_id):
    return message_id & MASK64


@dataclasses.dataclass
class Request:
    response_type: int
    id: int
    name: str
    headers: dict | None = None

    def encode(self):
        name = self.name.encode()
        if len(name) > 65535:
            raise WireError("Handler name too long")
        headers = encode_headers(self.headers)
        return (bytes([1, self.response_type]) + self.id.to_bytes(16, "little")
                + struct.pack("<H", len(name)) + name + struct.pack("<H", len(headers)) + headers)  # fmt: skip


def decode_request(data):
    if len(data) < 22:
        raise WireError("request header too short")
    if data[0] != 1:
        raise WireError(f"unsupported schema {data[0]}")
    name_size = struct.unpack_from("<H", data, 18)[0]
    if name_size == 0 or len(data) - 20 < name_size + 2:
        raise WireError("invalid handler name length")
    try:
        name = data[20 : 20 + name_size].decode()
    except UnicodeDecodeError as error:
        raise WireError("name is not UTF-8") from error
    if data[1] > UNARY:
        raise WireError(f"invalid response type {data[1]}")
    headers_size = struct.unpack_from("<H", data, 20 + name_size)[0]
    rest = data[22 + name_size :]
    if headers_size > HEADERS_BYTES_MAX or headers_size > len(rest):
        raise WireError("invalid headers length")
    return Request(data[1], int.from_bytes(data[2:18], "little"), name, decode_headers(rest[:headers_size]))


def id_of_echoed_request(data):
    """All that is needed of the header that a ShuttingDown frame brings back."""
    if len(data) < 18 or data[0] != 1 or data[1] > UNARY:
        return None
    return int.from_bytes(data[2:18], "little")


def encode_response(message_id, ok, headers):
    data = b"" if headers is None else pack(headers)
    return message_id.to_bytes(16, "little") + bytes([0 if ok else 1]) + struct.pack("<H", len(data)) + data


def decode_response(data):
    """(id, outcome byte, headers); the public velo takes every outcome but 0 as an error."""
    if len(data) < 19:
        raise WireError("response header too short")
    size = struct.unpack_from("<H", data, 17)[0]
    if len(data) - 19 < size:
        raise WireError("invalid headers length")
    return int.from_bytes(data[:16], "little"), data[16], decode_headers(data[19 : 19 + size])


def encode_ack(message_id, ok, event=False):
    return bytes([(1 if event else 0) | (0 if ok else 2)]) + message_id.to_bytes(16, "little")


def decode_ack(data):
    """(id, is event, is error)"""
    if len(data) < 17 or data[0] & ~3:
        raise WireError("no acknowledgement")
    return int.from_bytes(data[1:17], "little"), bool(data[0] & 1), bool(data[0] & 2)


# ---- frames -------------------------------------------------------------------------------------


def encode_frame(kind, header, payload=b""):
    if len(header) + len(payload) > FRAME_BYTES_MAX:
        raise WireError("frame too large")
    return PREAMBLE.pack(1, kind, len(header), len(payload)) + header + payload


def _read_exactly(stream, count):
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


def read_frame(stream):
    """(type, header, payload) from a file object; EOFError at the end, WireError for what closes a connection."""
    version, kind, header_size, payload_size = PREAMBLE.unpack(_read_exactly(stream, PREAMBLE.size))
    if version != 1:
        raise WireError(f"unsupported version {version}")
    if kind > SHUTTING_DOWN:
        raise WireError(f"invalid frame type {kind}")
    if header_size + payload_size > FRAME_BYTES_MAX:
        raise WireError("frame too large")
    return kind, _read_exactly(stream, header_size), _read_exactly(stream, payload_size)


# ---- addresses ----------------------------------------------------------------------------------


def encode_address(entries):
    """Bytes are arrays of integers here: a Vec<u8> is one to the encoder of the public velo."""
    return pack({key: list(entry) for key, entry in entries.items()})


def decode_address(data):
    entries = unpack(data)
    if not isinstance(entries, dict):
        raise WireError("a worker address is a map")
    for key, entry in entries.items():
        if not isinstance(key, str) or not isinstance(entry, list):
            raise WireError("a worker address maps text to arrays of integers")
    try:
        return {key: bytes(entry) for key, entry in entries.items()}
    except (TypeError, ValueError) as error:
        raise WireError("an address has a byte that is none") from error


def encode_endpoint(host, port):
    """One interface, its members by position: name, ip, port, prefix_len, numa_node."""
    return pack([["lo", host, port, 8, None]])


def decode_endpoint(data):
    """(host, port) of the first interface, or of the older "tcp://host:port"."""
    try:
        interfaces = unpack(data)
        first = interfaces[0]
        if isinstance(first, dict):
            return first["ip"], first["port"]
        return first[1], first[2]
    except (WireError, TypeError, IndexError, KeyError):
        host, _, port = data.decode().removeprefix("tcp://").rpartition(":")
        return host.strip("[]"), int(port)


def peer_info_json(instance, entries):
    return {"instance_id": str(instance), "worker_address": list(encode_address(entries))}


def parse_peer_info(value):
    """(instance, entries) of the JSON of a PeerInfo; unknown members do not matter."""
    try:
        return uuid.UUID(value["instance_id"]), decode_address(bytes(value["worker_address"]))
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"no PeerInfo: {error}") from error


def from_json(data):
    """An empty payload of a request stands for null."""
    try:
        return json.loads(data) if data else None
    except ValueError as error:
        raise WireError(f"no JSON: {error}") from error
