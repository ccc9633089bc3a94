// SPDX-License-Identifier: Apache-2.0
// What the coordinator and the workers of the demo say to each other: typed calls whose inputs and
// answers are these structs. A file up to part_bytes travels in one `digest` call; a larger one as
// `digest_part` calls, one after the other and to one worker, that end with `digest_end`.
// Threading: value types.
#pragma once

#include "digest.hpp"

#include <velo/base/bytes.hpp>
#include <velo/codec/describe.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace velo::cli {

constexpr std::size_t part_bytes = std::size_t{4} << 20;
/// Unfinished large files of one worker; more: Errc::overloaded.
constexpr std::size_t open_files_max = 1024;
constexpr const char* demo_cluster = "velo-demo";

/// "digest", answered with a Digest.
struct DigestRequest {
  std::string path;
  Bytes contents;
};
VELO_DESCRIBE(DigestRequest, path, contents);

/// "digest_part", answered with PartReply. `file` is new for each attempt; `offset` 0 opens it.
struct PartRequest {
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  Bytes contents;
};
VELO_DESCRIBE(PartRequest, file, offset, contents);

struct PartReply {
  std::uint64_t bytes = 0;  ///< of the file so far
};
VELO_DESCRIBE(PartReply, bytes);

/// "digest_end", answered with a Digest.
struct EndRequest {
  std::string path;
  std::uint64_t file = 0;
  std::uint64_t bytes = 0;
};
VELO_DESCRIBE(EndRequest, path, file, bytes);

/// "join", which the workers call once they can work, answered with JoinReply.
struct JoinRequest {
  std::uint64_t index = 0;
  std::string instance_id;
};
VELO_DESCRIBE(JoinRequest, index, instance_id);

struct JoinReply {
  bool welcome = false;
};
VELO_DESCRIBE(JoinReply, welcome);

}  // namespace velo::cli
