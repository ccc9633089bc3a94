// SPDX-License-Identifier: Apache-2.0
// Text for people, and the errors of the program.

#include "console.hpp"

#include <velo/crypto/error.hpp>
#include <velo/messenger/error.hpp>
#include <velo/transport/transport.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace velo::cli {

namespace console_detail {

static bool write_failed = false;

static void put(std::FILE* to, std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), to) != text.size() && to == stdout) {
    write_failed = true;
  }
}

struct Advice {
  ExitCode code;
  std::string_view hint;
};

static Advice advice_on_crypto(const Error& error) {
  using C = crypto::Errc;
  if (error.is(C::wrong_secret)) {
    return {exit_failed, "give its passphrase in VELO_PASSPHRASE or with --passphrase-file"};
  }
  if (error.is(C::unsafe_permissions)) {
    return {exit_failed, "take the file away from other users: chmod 600"};
  }
  if (error.is(C::wrong_purpose)) {
    return {exit_usage, "an authority is made with `velo identity new-authority`"};
  }
  return {exit_failed, "see what is there with `velo identity show DIR`"};
}

static Advice advice(const Error& error) {
  using M = messenger::Errc;
  if (error.is(M::unknown_handler)) {
    return {exit_failed, "see what the peer offers with `velo handlers`"};
  }
  if (error.is(M::wrong_kind)) return {exit_failed, "try --kind sync, or --kind fire"};
  if (error.is(M::bad_request)) {
    return {exit_failed, "the handler expects another input: check the --json text"};
  }
  if (error.is(M::too_large)) return {exit_failed, "one message holds at most 16 MiB"};
  if (error.is(M::overloaded)) return {exit_failed, "the peer is busy: try again later"};
  if (error.is(M::deadline_exceeded) || error.is(Errc::deadline_exceeded)) {
    return {exit_unreachable, "give it more time with --timeout"};
  }
  if (error.is(M::not_sent) || error.is(M::connection_lost) || error.is(M::unknown_peer) ||
      error.is(M::no_route) || error.is(M::needs_listener) || error.is(M::shutting_down) ||
      error.code().room == Room::transport) {
    return {exit_unreachable,
            "see who is there now with `velo info --discovery DIR`; --timeout gives it more time"};
  }
  if (error.code().room == Room::crypto) return advice_on_crypto(error);
  if (error.is(Errc::permission_denied)) return {exit_failed, "check who may use the files"};
  if (error.is(Errc::invalid_argument)) return {exit_usage, "see --help"};
  return {exit_failed, "VELO_LOG=debug shows what happens"};
}

static bool colours() {
  const char* off = std::getenv("NO_COLOR");
  return (off == nullptr || *off == '\0') && ::isatty(STDOUT_FILENO) == 1;
}

/// Columns on a terminal: one per code point, which is right for what we print.
static std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

}  // namespace console_detail

int fail(ExitCode code, std::string_view what, std::string_view hint) {
  console_detail::put(stderr, fmt::format("velo: {}; hint: {}\n", plain(what), hint));
  return code;
}

int fail(std::string_view what, const Error& error) {
  const console_detail::Advice given = console_detail::advice(error);
  return fail(given.code, fmt::format("{}: {}", what, error.to_string()), given.hint);
}

std::string plain(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size(); ++i) {
    // Those beyond ASCII, U+0080 to U+009F, as UTF-8.
    const bool of_two = byte(i) == 0xc2 && i + 1 < text.size() && (byte(i + 1) & 0xe0U) == 0x80;
    const bool control = byte(i) < 0x20 || byte(i) == 0x7f || of_two;
    shown += control ? '?' : text[i];
    if (of_two) ++i;
  }
  return shown;
}

void print_line(std::string_view line) {
  console_detail::put(stdout, line);
  console_detail::put(stdout, "\n");
}

bool flush_output() { return std::fflush(stdout) == 0 && !console_detail::write_failed; }

std::string table(const std::vector<std::string>& head,
                  const std::vector<std::vector<std::string>>& rows,
                  const std::vector<bool>& right) {
  std::vector<std::size_t> widths;
  widths.reserve(head.size());
  for (const std::string& cell : head) widths.push_back(console_detail::width(cell));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], console_detail::width(row[i]));
    }
  }
  std::string out;
  auto put_row = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      const std::string space(widths[i] - console_detail::width(row[i]), ' ');
      const bool to_right = i < right.size() && right[i];
      line += to_right ? space + row[i] : row[i] + space;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    if (!out.empty()) out += '\n';
    out += line;
  };
  put_row(head);
  for (const auto& row : rows) put_row(row);
  return out;
}

std::string verdict(bool ok) {
  const std::string_view word = ok ? "ok" : "FAIL";
  if (!console_detail::colours()) return std::string(word);
  return fmt::format("\033[{}m{}\033[0m", ok ? 32 : 31, word);
}

Result<Duration> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double scale = 0;
  if (unit.empty() || unit == "s") scale = 1e9;
  if (unit == "ns") scale = 1;
  if (unit == "us") scale = 1e3;
  if (unit == "ms") scale = 1e6;
  if (unit == "m") scale = 60e9;
  if (unit == "h") scale = 3600e9;
  if (unit == "d") scale = 86'400e9;
  const double nanoseconds = number * scale;
  // Not above 100 years, which also keeps the conversion defined.
  if (code != std::errc() || scale == 0 || !std::isfinite(nanoseconds) || nanoseconds < 0 ||
      nanoseconds > 3.2e18) {
    return make_error(Errc::invalid_argument,
                      fmt::format("'{}' is no duration: write 250ms, 5s, 2m or 90d", text));
  }
  return Duration(static_cast<Duration::rep>(nanoseconds));
}

std::string show_duration(Duration value) {
  const auto nanoseconds = static_cast<double>(value.count());
  if (nanoseconds < 1e3) return fmt::format("{:.0f} ns", nanoseconds);
  if (nanoseconds < 1e6) return fmt::format("{:.3g} us", nanoseconds / 1e3);
  if (nanoseconds < 1e9) return fmt::format("{:.3g} ms", nanoseconds / 1e6);
  return fmt::format("{:.2f} s", nanoseconds / 1e9);
}

std::string show_bytes(std::uint64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value < 1e3) return fmt::format("{} B", bytes);
  if (value < 1e6) return fmt::format("{:.1f} kB", value / 1e3);
  if (value < 1e9) return fmt::format("{:.1f} MB", value / 1e6);
  return fmt::format("{:.2f} GB", value / 1e9);
}

std::string show_count(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, " ");
  return digits;
}

Progress::Progress(bool wanted) : enabled_(wanted && ::isatty(STDERR_FILENO) == 1) {}

void Progress::draw(std::uint64_t done, std::uint64_t total, std::string_view rest) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  constexpr std::uint64_t cells = 24;
  const std::uint64_t filled = total == 0 ? cells : std::min(cells, done * cells / total);
  console_detail::put(stderr, fmt::format("\r[{}{}] {}/{}  {}\033[K", std::string(filled, '#'),
                                          std::string(cells - filled, '.'), done, total, rest));
  drawn_ = true;
}

void Progress::clear() {
  if (!drawn_) return;
  console_detail::put(stderr, "\r\033[K");
  drawn_ = false;
}

}  // namespace velo::cli
