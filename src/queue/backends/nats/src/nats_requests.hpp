// SPDX-License-Identifier: Apache-2.0
// Requests to the server that have no answer yet: which, until when, and when each is repeated.
// Values in, values out: no time of its own, no connection.
// Threading: one thread at a time.
#pragma once

#include "nats_wire.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace velo::queue::nats {

class Requests {
 public:
  using Done = std::move_only_function<void(Result<Message>)>;

  enum class Repeat : std::uint8_t {
    never,       ///< twice would be wrong: whoever sent it does without the answer
    unanswered,  ///< whenever the connection is new, and from time to time
  };
  struct Request {
    Message message;  ///< without the reply's subject
    TimePoint until;
    Repeat repeat = Repeat::unanswered;
    /// Belongs to making the queue, so it does not wait for that.
    bool first = false;
    bool item = false;  ///< sends one
    Done done;

    Request() = default;
  };

  explicit Requests(std::string inbox) : prefix_(std::move(inbox) + ".r") {}

  /// Its number; nothing when the table is full, and the request is as it was.
  std::optional<std::uint64_t> add(Request& request);
  /// What is to be sent for it, now; nothing when it has ended, or waits for the queue to be made.
  std::optional<Message> send(std::uint64_t number, TimePoint now);
  /// Everything, as to a server that has seen nothing of it.
  std::vector<Message> send_all(TimePoint now);
  /// To be sent again: they have no answer yet.
  std::vector<Message> due(TimePoint now);
  /// The request that an answer to `subject` ends; nothing if there is none.
  std::optional<Done> answered(std::string_view subject);
  /// The answer was that nobody is there (yet): it is asked again a little later. False if there
  /// is no such request, or it cannot be repeated.
  bool ask_again(std::string_view subject, TimePoint at);
  /// What was asked at `subject`; null if there is no such request.
  const Request* asked(std::string_view subject) const;
  /// Who has waited long enough.
  std::vector<Done> expired(TimePoint now);
  std::vector<Done> take_all();
  std::vector<Done> take_items();
  TimePoint next_change() const noexcept;

  /// Until the queue is made only `first` ones are sent.
  void set_open(bool open) noexcept { open_ = open; }
  bool open() const noexcept { return open_; }
  std::size_t size() const noexcept { return requests_.size(); }

 private:
  struct Kept {
    Request request;
    TimePoint again = TimePoint::never();
  };
  using Table = std::map<std::uint64_t, Kept>;
  std::optional<std::uint64_t> number_of(std::string_view subject) const;
  Message prepared(std::uint64_t number, Kept& kept, TimePoint now);

  const std::string prefix_;
  Table requests_;
  std::uint64_t next_ = 1;
  std::size_t bytes_ = 0;
  bool open_ = false;
};

}  // namespace velo::queue::nats
