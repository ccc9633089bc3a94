// SPDX-License-Identifier: Apache-2.0
// Lines of the soak's files.

#include "soak_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <utility>

namespace velo::cli {

namespace soak_log_detail {

constexpr std::array<std::string_view, soak_kinds> kinds = {"call",   "ack",      "event",
                                                            "stream", "transfer", "item"};
constexpr std::array<std::string_view, 7> words = {"ready", "begin",   "end",  "did",
                                                   "took",  "settled", "quiet"};

template <std::size_t N>
static std::optional<std::size_t> index_of(const std::array<std::string_view, N>& names,
                                           std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return i;
  }
  return {};
}

/// The text up to the next space, which goes with it.
static std::string_view next_word(std::string_view& text) {
  const std::size_t space = text.find(' ');
  const std::string_view word = text.substr(0, space);
  text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  return word;
}

}  // namespace soak_log_detail

std::string_view name_of(SoakKind kind) noexcept {
  return soak_log_detail::kinds[static_cast<std::size_t>(kind)];
}

std::string to_line(const SoakLine& line) {
  return fmt::format("{} {} {:x}{}{}\n",
                     soak_log_detail::words[static_cast<std::size_t>(line.word)],
                     name_of(line.kind), line.id, line.more.empty() ? "" : " ", line.more);
}

std::optional<SoakLine> parse_soak_line(std::string_view text) {
  using namespace soak_log_detail;  // NOLINT(google-build-using-namespace)
  if (!text.ends_with('\n')) return {};
  text.remove_suffix(1);
  const auto word = index_of(words, next_word(text));
  const auto kind = index_of(kinds, next_word(text));
  const std::string_view id = next_word(text);
  SoakLine line;
  const auto [end, failed] = std::from_chars(id.data(), id.data() + id.size(), line.id, 16);
  if (!word || !kind || failed != std::errc() || end != id.data() + id.size()) return {};
  line.word = static_cast<SoakWord>(*word);
  line.kind = static_cast<SoakKind>(*kind);
  line.more = text;
  return line;
}

Result<SoakLog> SoakLog::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return make_error(Errc::io, path + ": " + std::strerror(errno));
  return SoakLog(file);
}
SoakLog::SoakLog(SoakLog&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
SoakLog::~SoakLog() {
  if (file_ >= 0) ::close(file_);
}

void SoakLog::write(SoakWord word, SoakKind kind, std::uint64_t id, std::string_view more) const {
  const std::string line = to_line({word, kind, id, std::string(more)});
  // One call for one line: lines of several threads do not mix.
  while (::write(file_, line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

std::vector<SoakLine> SoakReader::more() {
  std::vector<SoakLine> lines;
  std::ifstream in(path_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset_));
  std::string text;
  while (std::getline(in, text)) {
    if (in.eof()) break;  // not all of it is there
    offset_ += text.size() + 1;
    text += '\n';
    if (auto line = parse_soak_line(text)) lines.push_back(std::move(*line));
  }
  return lines;
}

}  // namespace velo::cli
