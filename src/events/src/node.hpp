// SPDX-License-Identifier: Apache-2.0
// What can happen to an event (Outcome), and what hangs on one until it does (Node in a Chain):
// awaiters, and inputs of merged events. Core.
// Threading: values; nodes and chains are guarded by whoever owns the table.
#pragma once

#include <velo/base/error.hpp>
#include <velo/events/error.hpp>
#include <velo/events/handle.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace velo::events {

/// Shared by all who hear it.
using Reason = std::shared_ptr<const std::string>;

struct Outcome {
  std::optional<ErrorCode> code;  ///< nothing: ready
  Reason text;

  Outcome() = default;
  static Outcome ready() { return {}; }
  static Outcome poisoned(Reason reason) {
    return Outcome(error_code(Errc::poisoned), std::move(reason));
  }
  static Outcome failed(Errc code, std::string text) {
    return Outcome(error_code(code), std::make_shared<const std::string>(std::move(text)));
  }
  static Outcome failed(const Error& error) {
    return Outcome(error.code(), std::make_shared<const std::string>(error.context()));
  }

  bool is_ready() const noexcept { return !code.has_value(); }
  bool is_poison() const noexcept { return code == error_code(Errc::poisoned); }
  /// The event itself ended so, whoever asks: worth remembering.
  bool is_final() const noexcept { return is_ready() || is_poison(); }
  std::string_view reason() const noexcept {
    return text == nullptr ? std::string_view() : std::string_view(*text);
  }
  Result<void> result() const;

 private:
  Outcome(ErrorCode c, Reason reason) : code(c), text(std::move(reason)) {}
};

/// Cuts off what is over the limit, at a boundary of UTF-8.
Reason make_reason(std::string_view text);

class Chain;

struct Node {
  enum class Kind : std::uint8_t { awaiter, gate_input };

  explicit Node(Kind k) noexcept : kind(k) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  EventHandle event;
  Kind kind;
  Chain* chain = nullptr;  ///< null: hangs on nothing
  Node* previous = nullptr;
  Node* next = nullptr;

 protected:
  ~Node() = default;
};

/// Nodes in the order in which they came. Does not own them.
class Chain {
 public:
  Chain() noexcept = default;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  Node* front() const noexcept { return first_; }

  void push_back(Node& node) noexcept {
    node.chain = this;
    node.previous = last_;
    node.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &node;
    last_ = &node;
    ++size_;
  }
  void remove(Node& node) noexcept {
    (node.previous == nullptr ? first_ : node.previous->next) = node.next;
    (node.next == nullptr ? last_ : node.next->previous) = node.previous;
    node.chain = nullptr;
    --size_;
  }
  Node* pop_front() noexcept {
    Node* node = first_;
    if (node != nullptr) remove(*node);
    return node;
  }

 private:
  Node* first_ = nullptr;
  Node* last_ = nullptr;
  std::size_t size_ = 0;
};

/// A node that somebody outside waits for; `outcome` is set before it is handed out.
struct AwaiterNode : Node {
  AwaiterNode() noexcept : Node(Kind::awaiter) {}
  Outcome outcome;

 protected:
  ~AwaiterNode() = default;
};

/// Awaiters that hang on nothing any more and are to be told.
class EndedList {
 public:
  EndedList() noexcept = default;
  EndedList(const EndedList&) = delete;
  EndedList& operator=(const EndedList&) = delete;

  void push(AwaiterNode& node) noexcept {
    node.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &node;
    last_ = &node;
  }
  AwaiterNode* pop() noexcept {
    Node* node = first_;
    if (node == nullptr) return nullptr;
    first_ = node->next;
    if (first_ == nullptr) last_ = nullptr;
    return static_cast<AwaiterNode*>(node);
  }

 private:
  Node* first_ = nullptr;
  Node* last_ = nullptr;
};

}  // namespace velo::events
