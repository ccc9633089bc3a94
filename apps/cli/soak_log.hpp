// SPDX-License-Identifier: Apache-2.0
// What a process of the soak tells: one line for each thing, written before it goes on, so that a
// process that is killed has told everything up to then. "WORD KIND ID [MORE]", the id in
// hexadecimal.
// Threading: SoakLog from any thread.
#pragma once

#include <velo/base/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace velo::cli {

enum class SoakKind : std::uint8_t { call, ack, event, stream, transfer, item };
constexpr std::size_t soak_kinds = 6;
std::string_view name_of(SoakKind kind) noexcept;

enum class SoakWord : std::uint8_t {
  ready,    ///< it can be talked to; `more` is its instance id
  begin,    ///< a worker begins an operation
  end,      ///< and it has ended: `more` is ok, failed, bad; of an event triggered, poisoned
  did,      ///< the hub does its part; of an event: triggered, poisoned
  took,     ///< a worker was given an item
  settled,  ///< and has acknowledged it
  quiet,    ///< everything that it began has ended, and it begins no more
};

struct SoakLine {
  SoakWord word = SoakWord::ready;
  SoakKind kind = SoakKind::call;
  std::uint64_t id = 0;
  std::string more;

  friend bool operator==(const SoakLine&, const SoakLine&) = default;
};
std::string to_line(const SoakLine& line);
/// Nothing for what is none, as the last line of a process that was killed within it.
std::optional<SoakLine> parse_soak_line(std::string_view text);

class SoakLog {
 public:
  static Result<SoakLog> open(const std::string& path);
  SoakLog(SoakLog&& other) noexcept;
  SoakLog& operator=(SoakLog&&) = delete;
  ~SoakLog();

  void write(SoakWord word, SoakKind kind, std::uint64_t id, std::string_view more = {}) const;

 private:
  explicit SoakLog(int file) noexcept : file_(file) {}
  int file_;
};

/// What has been written since the last look; whole lines.
class SoakReader {
 public:
  explicit SoakReader(std::string path) : path_(std::move(path)) {}
  std::vector<SoakLine> more();

 private:
  std::string path_;
  std::uint64_t offset_ = 0;
};

}  // namespace velo::cli
