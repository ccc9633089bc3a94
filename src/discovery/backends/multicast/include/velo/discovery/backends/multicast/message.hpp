// SPDX-License-Identifier: Apache-2.0
// The datagrams of multicast discovery as values, and their bytes: docs/protocols/multicast.md.
// Anybody may have sent them, so everything is checked, and nothing here says whom to believe.
// Threading: thread-safe.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/discovery/error.hpp>
#include <velo/discovery/subject.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace velo::discovery::multicast {

using RawKey = std::array<std::uint8_t, 32>;     ///< an Ed25519 public key
using Signature = std::array<std::uint8_t, 64>;  ///< of everything before it

/// A peer (no service name) or an instance of a service, with its addresses or metadata.
struct Row {
  std::string service;
  InstanceId id;
  WorkerAddress entries;

  using Key = ServiceSubject::Key;
  Key key() const { return {service, id}; }
  friend bool operator==(const Row&, const Row&) = default;
};

/// A piece of a row that fits into no datagram. The same row has the same parts each time it is
/// said, so that those of several times complete each other.
struct Part {
  Row::Key row;
  std::uint64_t digest = 0;  ///< of all its bytes
  std::uint8_t index = 0;
  std::uint8_t count = 0;
  Bytes bytes;

  friend bool operator==(const Part&, const Part&) = default;
};

/// What an announcer says of its rows: that they are there, or that they are gone (without
/// entries; none at all: everything it announced).
struct Statement {
  bool goodbye = false;
  std::uint64_t announcer = 0;  ///< random, of one run of one discovery object
  std::uint64_t sequence = 0;   ///< grows with each statement of the announcer; from 1
  std::int64_t unix_milliseconds = 0;
  std::uint64_t answers = 0;  ///< the question's number; 0: nobody asked
  std::uint32_t lifetime_milliseconds = 0;
  RawKey key{};
  bool is_signed = true;
  std::vector<Row> rows;
  std::optional<Part> part;  ///< instead of rows, and not in a goodbye

  friend bool operator==(const Statement&, const Statement&) = default;
};

struct Question {
  enum class About : std::uint8_t {
    everything = 0,
    instance = 1,      ///< the peer with this instance id
    worker = 2,        ///< the peer with this worker id
    announcer = 3,     ///< all rows of that announcer
    certificates = 4,  ///< the chain of the key
  };
  std::uint64_t asker = 0;  ///< its announcer number
  std::uint64_t number = 0;
  About about = About::everything;
  InstanceId instance;
  std::uint64_t id = 0;  ///< worker or announcer
  RawKey key{};

  friend bool operator==(const Question&, const Question&) = default;
};

/// A certificate chain in DER, the leaf first.
struct Chain {
  std::vector<Bytes> certificates;

  friend bool operator==(const Chain&, const Chain&) = default;
};

using Message = std::variant<Statement, Question, Chain>;

/// A datagram that was read; `signed_part` and `signature` borrow from it.
struct Received {
  std::uint64_t cluster = 0;
  Message message;
  ByteSpan signed_part;
  ByteSpan signature;
};

/// The number of a cluster's name in datagrams.
std::uint64_t cluster_number(std::string_view name);

/// A Statement's bytes end before the signature, which its maker appends when `is_signed`.
std::vector<std::byte> encode(std::uint64_t cluster, const Message& message);
/// Bytes that the row takes in a statement.
std::size_t encoded_bytes(const Row& row);
/// What a statement has room for.
std::size_t row_bytes_max() noexcept;
/// The row in parts, in order; for one that no statement has room for.
std::vector<Part> parts_of(const Row& row);
/// A row's bytes, as in a statement; Errc::malformed_entry for others.
Result<Row> read_row(ByteSpan bytes);
/// What the parts of a row add up to; Errc::malformed_entry if that is not the row they say.
Result<Row> row_of(const Part& any, ByteSpan bytes);

/// discovery::Errc::malformed_entry, or unknown_format for a later version.
Result<Received> decode(ByteSpan datagram);

/// Whether the instance id may belong to the key: an id of UUID version 8 is made from its key,
/// others are anybody's.
bool may_own(const RawKey& key, const InstanceId& id);

}  // namespace velo::discovery::multicast
