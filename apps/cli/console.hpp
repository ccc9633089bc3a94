// SPDX-License-Identifier: Apache-2.0
// How every command of the program talks: exit codes, errors with a hint, tables, progress, units.
// Data goes to standard output, everything else to standard error. Not a logger: see
// velo/base/log.hpp.
// Threading: the main thread.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/time.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace velo::cli {

/// Documented in README.md beside this file; scripts depend on them.
enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,       ///< the operation was tried and did not succeed
  exit_usage = 2,        ///< the command line cannot be carried out
  exit_unreachable = 3,  ///< nobody answered, or not in time
  exit_unverified = 4,   ///< it ran, but the result is not what it must be
  exit_signal = 128,     ///< plus the signal's number
};

enum class OutputFormat : std::uint8_t { table, json };

/// Prints "velo: <what>; hint: <hint>" and returns `code`.
int fail(ExitCode code, std::string_view what, std::string_view hint);
/// The same for an error of the library, with the code and the hint that it usually deserves.
int fail(std::string_view what, const Error& error);

/// What others say, without what a terminal would obey: control characters become '?'. fail() does
/// so by itself.
std::string plain(std::string_view text);

/// To standard output; a failure to write is remembered for flush_output().
void print_line(std::string_view line);
/// False when standard output could not take everything (a full disk, a closed pipe).
bool flush_output();

/// Rows below a head, columns aligned by two spaces; numbers to the right where `right` says so.
std::string table(const std::vector<std::string>& head,
                  const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& right = {});

/// "ok" or "FAIL", coloured where a person reads it and NO_COLOR is unset.
std::string verdict(bool ok);

/// "250ms", "5s", "2m", "1h", "90d", "10us"; a bare number means seconds. Not negative.
Result<Duration> parse_duration(std::string_view text);
/// "1.2 ms"; three digits.
std::string show_duration(Duration value);
/// "12.3 MB"; powers of 1000.
std::string show_bytes(std::uint64_t bytes);
/// "12 345".
std::string show_count(std::uint64_t count);

/// One line on a terminal, redrawn at most ten times a second; silent anywhere else.
class Progress {
 public:
  explicit Progress(bool wanted);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  void draw(std::uint64_t done, std::uint64_t total, std::string_view rest);
  void clear();

 private:
  bool enabled_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace velo::cli
