// SPDX-License-Identifier: Apache-2.0
// Queues of one node for all others: QueueHost serves WorkQueues of its process by name, a remote
// queue is such a one as others see it. docs/protocols/queue.md has the messages.
// Threading: any thread. Messengers outlive their hosts, remote queues and the Ops of these.
#pragma once

#include <velo/messenger/messenger.hpp>
#include <velo/queue/queue.hpp>

#include <memory>
#include <string>

namespace velo::queue {

class QueueHostState;

/// Who may use its queues is decided as for any handler of the application, by the name
/// "velo.queue.rpc". In a drain of its messenger receivers that wait are answered that it is
/// shutting down; what they hold can still be acknowledged.
class QueueHost {
 public:
  /// velo::Errc::already_exists when the messenger has one.
  static Result<std::unique_ptr<QueueHost>> create(Messenger& messenger);

  /// For create().
  explicit QueueHost(std::shared_ptr<QueueHostState> state) noexcept;
  QueueHost(const QueueHost&) = delete;
  QueueHost& operator=(const QueueHost&) = delete;
  /// Its queues are served no longer; their own users keep them.
  ~QueueHost();

  /// velo::Errc::already_exists, or invalid_argument for an empty name.
  Result<void> serve(std::string name, std::shared_ptr<WorkQueue> queue);
  /// Whether there was one. Receivers that wait in it stay until their time is over.
  bool withdraw(std::string_view name);

 private:
  std::shared_ptr<QueueHostState> state_;
};

/// The queue that `host` serves under the name. A send without an id gets a random one and is
/// repeated, until its time is over, when the connection broke: queued twice it is not. Beyond the
/// errors of the queue: Errc::unknown, and those of Messenger's sends.
std::shared_ptr<WorkQueue> make_remote_queue(Messenger& messenger, const InstanceId& host,
                                             std::string name);

}  // namespace velo::queue
