// SPDX-License-Identifier: Apache-2.0
// DataWriter: where get_into() puts what it reads, a chunk at a time: memory of the caller's, a
// file, or anything that implements it. Not a stream: chunks come in any order.
// Threading: one call at a time; on the worker pool if it blocks(), on an I/O thread otherwise.
#pragma once

#include <velo/base/bytes.hpp>
#include <velo/base/error.hpp>
#include <velo/base/files.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace velo {

class DataWriter {
 public:
  /// Destroyed without finish(): the transfer failed or was given up.
  virtual ~DataWriter() = default;

  /// Whether its functions may block.
  virtual bool blocks() const noexcept { return true; }
  /// Once, first. What is refused here is never sent.
  virtual Result<void> begin(std::uint64_t total_bytes) = 0;
  /// Each place once, in any order. The chunk may be kept; it is a block of its own.
  virtual Result<void> write(std::uint64_t offset, const Bytes& chunk) = 0;
  /// All of it was written; the last call.
  virtual Result<void> finish() = 0;
};

/// Into memory that stays valid until the operation has ended. begin() refuses more than fits:
/// rendezvous::Errc::too_large.
std::unique_ptr<DataWriter> write_to_memory(std::span<std::byte> out);

/// Into a file that appears, whole and synced, when everything has come; `files` outlives it.
std::unique_ptr<DataWriter> write_to_file(Files& files, std::string path);

}  // namespace velo
