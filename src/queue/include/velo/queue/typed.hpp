// SPDX-License-Identifier: Apache-2.0
// Queues of one described type: items are MessagePack bodies.
// Threading: any thread, as the queue.
#pragma once

#include <velo/codec/msgpack.hpp>
#include <velo/queue/queue.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace velo::queue {

template <class T>
class WorkQueueSender {
 public:
  explicit WorkQueueSender(std::shared_ptr<WorkQueue> queue) : queue_(std::move(queue)) {}

  /// As WorkQueue::send(): where the queue blocks when it is full, this waits.
  Op<Receipt> enqueue(const T& item, SendOptions options = SendOptions()) {
    return queue_->send(codec::to_msgpack(item), std::move(options));
  }
  /// Does not wait for room: velo::Errc::deadline_exceeded where the queue would block.
  Op<Receipt> try_enqueue(const T& item, SendOptions options = SendOptions()) {
    options.timeout = Duration(0);
    return enqueue(item, std::move(options));
  }
  Op<void> close() { return queue_->close(); }

 private:
  std::shared_ptr<WorkQueue> queue_;
};

template <class T>
class WorkQueueReceiver {
 public:
  explicit WorkQueueReceiver(std::shared_ptr<WorkQueue> queue) : queue_(std::move(queue)) {}

  /// As WorkQueue::receive(): one item, or none after 30 s.
  Op<std::vector<Delivery>> next() { return queue_->receive(); }
  Op<std::vector<Delivery>> next_with_options(const ReceiveOptions& options) {
    return queue_->receive(options);
  }
  /// What is there now.
  Op<std::vector<Delivery>> try_next(std::size_t batch = 1) {
    ReceiveOptions options;
    options.batch = batch;
    options.wait = Duration(0);
    return queue_->receive(options);
  }
  /// The codec's error for an item that is no `T`: nack it, and it becomes a dead letter in time.
  static Result<T> decode(const Delivery& delivery) {
    return codec::from_msgpack<T>(delivery.payload.span());
  }

  Op<void> ack(Lease lease) { return queue_->ack(lease); }
  Op<void> nack(Lease lease, Duration delay = Duration(0)) { return queue_->nack(lease, delay); }
  Op<void> extend(Lease lease, Duration visibility = Duration(0)) {
    return queue_->extend(lease, visibility);
  }

 private:
  std::shared_ptr<WorkQueue> queue_;
};

}  // namespace velo::queue
