// SPDX-License-Identifier: Apache-2.0
// One queue in NATS: what was asked and is not answered, who waits, what is leased. By file: the
// life of it (nats_queue.cpp), sending (nats_send.cpp), receiving (nats_receive.cpp), settling
// (nats_settle.cpp).
// Threading: any thread. Nothing of a user's runs under the lock.
#pragma once

#include "nats_leases.hpp"
#include "nats_link.hpp"
#include "nats_requests.hpp"

#include <velo/base/op.hpp>
#include <velo/base/shard_timer.hpp>

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace velo::queue::nats {

using Batch = std::vector<Delivery>;

class Queue final
    // why: its timer, its link and what waits on it find it while they exist.
    : public std::enable_shared_from_this<Queue> {
 public:
  Queue(World& world, std::string name, const QueueOptions& options, const NatsOptions& nats);
  Queue(const Queue&) = delete;
  void start();
  /// Its owner is gone. Blocks as Link::stop().
  void end();

  Op<Receipt> send(Bytes payload, SendOptions options);
  Op<Batch> receive(const ReceiveOptions& options);
  Op<void> ack(Lease lease);
  Op<void> nack(Lease lease, Duration delay);
  Op<void> extend(Lease lease, Duration visibility);
  Op<QueueState> state();
  Op<void> close();

 private:
  using StopHook = std::stop_callback<std::move_only_function<void()>>;
  /// Told and sent once no lock is held.
  struct After {
    std::vector<Message> messages;
    std::vector<std::move_only_function<void()>> calls;
  };
  struct Sending {
    Sending(Executor& executor) : promise(executor) {}
    std::string id;
    bool own_id = false;  ///< made here: who else could have sent it
    Bytes payload;
    SendOptions options;
    TimePoint until;     ///< for room
    TimePoint given_up;  ///< for an answer
    Promise<Receipt> promise;
    std::unique_ptr<StopHook> stop;
  };
  using SendingPtr = std::shared_ptr<Sending>;
  enum class Phase : std::uint8_t {
    before,   ///< not asked yet
    now,      ///< for what is there
    waiting,  ///< for one to come
  };
  struct Receiver {
    Receiver(const ReceiveOptions& o, TimePoint u, Executor& executor)
        : options(o), until(u), promise(executor) {}
    ReceiveOptions options;
    TimePoint until;
    Promise<Batch> promise;
    std::unique_ptr<StopHook> stop;
    Phase phase = Phase::before;
    std::uint64_t round = 0;
    TimePoint guard = TimePoint::never();  ///< when the round is over without a word
    bool heard = false;                    ///< the server has answered one
    Batch collected;
  };
  using ReceiverPtr = std::shared_ptr<Receiver>;

  // The life of it.
  TimePoint now() const noexcept { return world_.clock().now(); }
  void carry_out(After after);
  void wake_at(TimePoint at);
  void tick();
  void on_arrived(Message message);
  void on_connected();
  void on_refused(const Error& error);
  void fail_all(const Error& error);
  void ask(Requests::Request request);
  /// A request to JetStream itself, that takes part in making the queue if `first`.
  void ask_api(std::string subject, std::string body, TimePoint until, bool first,
               Requests::Done done);
  template <class T>
  Op<T> ended(Result<T> result) {
    return Op<T>::ready(world_.pool(), std::move(result));
  }
  void set_up();
  void set_up_stream();
  void set_up_consumer();
  void set_up_fails(const Error& error);
  void set_up_ends();
  /// Looks whether the stream is closed, empty or gone, and ends who waits in vain.
  void inspect();
  void on_inspected(const StreamInfo& info);
  Error gone_error() const;

  // Sending.
  void attempt(SendingPtr sending, bool from_line);
  void on_sent(const SendingPtr& sending, bool from_line, Result<Message> answer);
  void stand_in_line(const SendingPtr& sending, After& after);
  void next_in_line();
  void drop_from_line(const SendingPtr& sending);
  void cancel_send(const SendingPtr& sending);
  void expire_line(TimePoint at, After& after);

  // Receiving, under the lock.
  void pull(std::uint64_t number, Receiver& receiver, Phase phase, After& after);
  void pull_answered(const Message& message, After& after, bool& look);
  void round_ends(std::uint64_t number, const ReceiverPtr& receiver, int status, After& after,
                  bool& look);
  void item_arrived(Message message, After& after);
  bool keep_back(const Item& item, const Delivered& delivered, const Message& message,
                 After& after);
  void complete(std::uint64_t number, Result<Batch> result, After& after);
  void tick_receivers(TimePoint at, After& after);
  void cancel_receive(std::uint64_t number);
  void return_leases(const Batch& batch, After& after);

  // Settling.
  void settle(std::string subject, std::string word, Requests::Repeat repeat,
              std::move_only_function<void(Result<void>)> done);
  void item_is_gone();
  void bury(std::uint64_t item);
  Message word(std::string subject, std::string text) const;

  World& world_;
  const std::string name_;
  const QueueOptions options_;
  const NatsOptions nats_;
  const Names names_;
  const std::shared_ptr<Link> link_;

  mutable std::mutex mutex_;
  Requests requests_;
  Leases leases_;
  std::map<std::uint64_t, ReceiverPtr> receivers_;
  std::list<SendingPtr> line_;  ///< senders that wait for room
  bool asking_for_room_ = false;
  TimePoint ask_for_room_ = TimePoint::never();
  std::uint64_t next_receiver_ = 1;
  bool setting_up_ = false;
  TimePoint set_up_again_ = TimePoint::never();
  bool ready_ = false;
  bool closed_ = false;
  bool ended_ = false;
  bool inspecting_ = false;
  bool nobody_answers_ = false;  ///< there is a server, but no JetStream in it
  std::optional<Error> broken_;
  QueueState counts_;
  TimePoint armed_ = TimePoint::never();
  ShardTimer timer_;  ///< on shard 0 only
};

}  // namespace velo::queue::nats
