// SPDX-License-Identifier: Apache-2.0
// The process's log settings (levels, format, clock, sink) and the writing of a line.

#include <velo/base/log.hpp>

#include "log_format.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

namespace velo::log {

namespace log_detail {

constexpr Level initial_level = Level::warn;

template <std::size_t... Index>
static constexpr std::array<std::atomic<Level>, rooms_max> initial_levels(
    std::index_sequence<Index...>) noexcept {
  return {((void)Index, initial_level)...};
}

constinit std::array<std::atomic<Level>, rooms_max> levels =
    initial_levels(std::make_index_sequence<rooms_max>());

struct Settings {
  std::mutex mutex;
  Format format = Format::text;
  std::shared_ptr<const std::function<WallTime()>> clock;
  std::shared_ptr<const Sink> sink;
};

/// Never destroyed: destructors of static objects may log.
static Settings& settings() {
  static auto* const instance = new Settings;
  return *instance;
}

static std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view space = " \t\r\n";
  const std::size_t first = text.find_first_not_of(space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(space) - first + 1);
}

static std::optional<Level> parse_level(std::string_view text) noexcept {
  for (const Level level :
       {Level::trace, Level::debug, Level::info, Level::warn, Level::error, Level::off}) {
    if (text == log_format::level_name(level)) return level;
  }
  return std::nullopt;
}

static std::optional<Room> parse_room(std::string_view text) noexcept {
  for (std::size_t i = 0; i < rooms_max; ++i) {
    const auto room = static_cast<Room>(i);
    if (room_name(room) == text && text != "unknown") return room;
  }
  return std::nullopt;
}

static void write_stderr(std::string_view line) noexcept {
  while (!line.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    line.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace log_detail

Result<void> configure(std::string_view spec) {
  std::array<std::optional<Level>, log_detail::rooms_max> own;
  Level common = log_detail::initial_level;
  while (!spec.empty()) {
    const std::size_t comma = spec.find(',');
    const std::string_view part = log_detail::trim(spec.substr(0, comma));
    spec.remove_prefix(comma == std::string_view::npos ? spec.size() : comma + 1);
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    const bool for_room = equals != std::string_view::npos;
    const auto level =
        log_detail::parse_level(log_detail::trim(for_room ? part.substr(equals + 1) : part));
    const auto room = for_room ? log_detail::parse_room(log_detail::trim(part.substr(0, equals)))
                               : std::optional<Room>();
    if (!level || (for_room && !room)) {
      return make_error(Errc::invalid_argument,
                        "log setting \"" + std::string(part.substr(0, 80)) + "\": " +
                            (level ? "no room of that name"
                                   : "the level is trace, debug, info, warn, error or off"));
    }
    (room ? own[static_cast<std::size_t>(*room)].emplace() : common) = *level;
  }
  for (std::size_t i = 0; i < own.size(); ++i) {
    log_detail::levels[i].store(own[i].value_or(common), std::memory_order_relaxed);
  }
  return {};
}

Result<void> configure_from_environment() {
  if (const char* format = std::getenv("VELO_LOG_FORMAT"); format != nullptr && *format != '\0') {
    const std::string_view name = format;
    if (name != "text" && name != "json") {
      return make_error(Errc::invalid_argument, "VELO_LOG_FORMAT is text or json, not \"" +
                                                    std::string(name.substr(0, 80)) + "\"");
    }
    set_format(name == "json" ? Format::json : Format::text);
  }
  const char* spec = std::getenv("VELO_LOG");
  return spec != nullptr ? configure(spec) : Result<void>();
}

void set_level(Room room, Level level) noexcept {
  log_detail::levels[static_cast<std::size_t>(room) % log_detail::rooms_max].store(
      level, std::memory_order_relaxed);
}

Level level(Room room) noexcept {
  return log_detail::levels[static_cast<std::size_t>(room) % log_detail::rooms_max].load(
      std::memory_order_relaxed);
}

void set_format(Format format) noexcept {
  log_detail::Settings& settings = log_detail::settings();
  const std::scoped_lock lock(settings.mutex);
  settings.format = format;
}

void set_clock(std::function<WallTime()> clock) {
  auto shared =
      clock ? std::make_shared<const std::function<WallTime()>>(std::move(clock)) : nullptr;
  log_detail::Settings& settings = log_detail::settings();
  const std::scoped_lock lock(settings.mutex);
  settings.clock.swap(shared);
}

Sink set_sink(Sink sink) {
  auto shared = sink ? std::make_shared<const Sink>(std::move(sink)) : nullptr;
  log_detail::Settings& settings = log_detail::settings();
  {
    const std::scoped_lock lock(settings.mutex);
    settings.sink.swap(shared);
  }
  return shared != nullptr ? *shared : Sink();
}

void write(Level level, Room room, std::string_view message,
           std::initializer_list<Field> fields) noexcept {
  thread_local bool writing = false;
  if (writing) return;
  writing = true;
  try {
    log_detail::Settings& settings = log_detail::settings();
    Format format{};
    std::shared_ptr<const std::function<WallTime()>> clock;
    std::shared_ptr<const Sink> sink;
    {
      const std::scoped_lock lock(settings.mutex);
      format = settings.format;
      clock = settings.clock;
      sink = settings.sink;
    }
    log_format::Record record{std::nullopt, level, room, message, fields};
    if (clock != nullptr) record.time = (*clock)();
    log_format::LineBuffer line;
    if (format == Format::json) {
      log_format::format_json(line, record);
    } else {
      log_format::format_text(line, record);
    }
    if (sink == nullptr) {
      log_detail::write_stderr(line.view());
    } else {
      (*sink)(line.view().substr(0, line.size() - 1));
    }
  } catch (...) {  // NOLINT(bugprone-empty-catch)
    // A line that cannot be written must not end the program.
  }
  writing = false;
}

struct Capture::Shared {
  std::mutex mutex;
  std::vector<std::string> lines;
};

Capture::Capture() : shared_(std::make_shared<Shared>()) {
  previous_ = set_sink([shared = shared_](std::string_view line) {
    const std::scoped_lock lock(shared->mutex);
    shared->lines.emplace_back(line);
  });
}

Capture::~Capture() { set_sink(std::move(previous_)); }

std::vector<std::string> Capture::lines() const {
  const std::scoped_lock lock(shared_->mutex);
  return shared_->lines;
}

}  // namespace velo::log
