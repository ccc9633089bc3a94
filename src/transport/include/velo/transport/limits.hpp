// SPDX-License-Identifier: Apache-2.0
// The transport's named limits, each with its policy (docs/limits.md is made from these comments).
// Threading: constants.
#pragma once

#include <velo/base/limits.hpp>

#include <cstddef>

namespace velo::transport::limits {

/// Size from which a payload is shared instead of copied, when the sender gave its owner. Policy:
/// smaller ones are copied together.
constexpr std::size_t shared_payload_bytes_min = std::size_t{16} << 10;
/// What one block of an outgoing queue holds of small frames. Policy: more goes to the next block.
constexpr std::size_t write_block_bytes = std::size_t{64} << 10;
/// The scratch buffer that all stream connections of one shard read into. Policy: the rest waits
/// for the next read; a larger frame gets a block of its own.
constexpr std::size_t read_buffer_bytes = std::size_t{256} << 10;
/// Header of a frame (name 65,535 + headers 16,384 + fixed part). Policy: a longer one is not sent,
/// and one that arrives closes its connection before it is buffered.
constexpr std::size_t header_bytes_max = 65'535 + 16'384 + 64;
/// An address entry. Policy: a longer one is refused (Errc::invalid_address).
constexpr std::size_t address_entry_bytes_max = std::size_t{16} << 10;
/// Endpoints of one address entry. Policy: an entry with more is refused (Errc::invalid_address).
constexpr std::size_t address_endpoints_max = 256;

}  // namespace velo::transport::limits
