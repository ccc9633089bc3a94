// SPDX-License-Identifier: Apache-2.0
// The hub, and listening and connecting within a process.

#include <velo/transport/backends/inproc.hpp>

#include "inproc_pair.hpp"

#include <velo/base/check.hpp>
#include <velo/transport/failed_dial.hpp>
#include <velo/transport/on_shard.hpp>

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace velo::transport {

/// Who accepts connections for an instance.
struct InprocListener {
  Shard& shard;
  AcceptHandler& accepts;
  const std::shared_ptr<MemoryBudget> budget;
  bool open = true;  ///< the shard's

  InprocListener(Shard& home, AcceptHandler& handler, std::shared_ptr<MemoryBudget> memory) noexcept
      : shard(home), accepts(handler), budget(std::move(memory)) {}
};

class InprocHub {
 public:
  explicit InprocHub(std::uint64_t id) : prefix_(fmt::format("inproc://{:016x}/", id)) {}

  /// What the entries of this hub begin with.
  const std::string& prefix() const noexcept { return prefix_; }

  bool add(const InstanceId& instance, std::shared_ptr<InprocListener> listener) {
    const std::lock_guard lock(mutex_);
    return listeners_.emplace(instance, std::move(listener)).second;
  }
  void remove(const InstanceId& instance) {
    const std::lock_guard lock(mutex_);
    listeners_.erase(instance);
  }
  std::shared_ptr<InprocListener> find(const InstanceId& instance) {
    const std::lock_guard lock(mutex_);
    const auto found = listeners_.find(instance);
    return found == listeners_.end() ? nullptr : found->second;
  }

 private:
  const std::string prefix_;
  std::mutex mutex_;
  std::map<InstanceId, std::shared_ptr<InprocListener>> listeners_;
};

namespace inproc_detail {

/// A connecting attempt; `done` is touched on the dialling shard only, and empty once it ran or was
/// abandoned.
struct Attempt {
  Shard& shard;
  ConnectHandler done;

  Attempt(Shard& home, ConnectHandler handler) : shard(home), done(std::move(handler)) {}
};

class InprocDial final : public Dial {
 public:
  explicit InprocDial(std::shared_ptr<Attempt> attempt) noexcept : attempt_(std::move(attempt)) {}
  InprocDial(const InprocDial&) = delete;
  InprocDial& operator=(const InprocDial&) = delete;
  ~InprocDial() override { attempt_->done = nullptr; }

 private:
  std::shared_ptr<Attempt> attempt_;
};

static void complete(const std::shared_ptr<Attempt>& attempt, Result<ConnectionPtr> result) {
  post(attempt->shard, [attempt, result = std::move(result)]() mutable {
    if (ConnectHandler done = std::exchange(attempt->done, nullptr)) done(std::move(result));
  });
}

class InprocTransport final : public Transport {
 public:
  explicit InprocTransport(std::shared_ptr<InprocHub> hub) noexcept : hub_(std::move(hub)) {}
  InprocTransport(const InprocTransport&) = delete;
  InprocTransport& operator=(const InprocTransport&) = delete;
  ~InprocTransport() override { VELO_CHECK(listener_ == nullptr); }

  std::string_view key() const noexcept override { return "inproc"; }

  Result<void> start(const TransportContext& context) override {
    VELO_CHECK(listener_ == nullptr);
    auto listener =
        std::make_shared<InprocListener>(context.world.shard(0), context.accepts, context.budget);
    if (!hub_->add(context.self, listener)) {
      return velo::make_error(velo::Errc::already_exists,
                              context.self.to_string() + " listens already");
    }
    self_ = context.self;
    budget_ = context.budget;
    listener_ = std::move(listener);
    return {};
  }

  Bytes address_entry() const override {
    return self_.valid() ? Bytes::own(hub_->prefix() + self_.to_string()) : Bytes();
  }

  Result<void> check_entry(ByteSpan entry) const override {
    const Result<InstanceId> instance = parse(entry);
    if (!instance) return instance.error();
    if (hub_->find(*instance) == nullptr) {
      return make_error(Errc::no_endpoint, instance->to_string() + " is not in this process");
    }
    return {};
  }

  Reach assess(ByteSpan entry) const override {
    if (!parse(entry)) return {};
    return {Locality::same_process, true, std::chrono::nanoseconds(500)};
  }

  std::unique_ptr<Dial> connect(Shard& shard, ByteSpan entry, ConnectHandler done) override {
    const Result<InstanceId> instance = parse(entry);
    if (!self_.valid()) return fail_dial(shard, std::move(done), make_error(Errc::not_started));
    if (!instance) return fail_dial(shard, std::move(done), instance.error());
    const std::string remote = "inproc://" + instance->to_string();
    std::shared_ptr<InprocListener> listener = hub_->find(*instance);
    if (listener == nullptr) {
      return fail_dial(shard, std::move(done), make_error(Errc::connect_failed, remote));
    }
    auto attempt = std::make_shared<Attempt>(shard, std::move(done));
    auto dial = std::make_unique<InprocDial>(attempt);
    Shard& accepting = listener->shard;
    post(accepting, [attempt = std::move(attempt), listener = std::move(listener), remote,
                     self = "inproc://" + self_.to_string(), budget = budget_] {
      if (!listener->open) {
        return complete(attempt, make_error(Errc::connect_failed, remote + " has stopped"));
      }
      InprocPair::Ends ends = InprocPair::make({attempt->shard, remote, budget},
                                               {listener->shard, self, listener->budget});
      listener->accepts.on_accepted(std::move(ends.accepted));
      complete(attempt, std::move(ends.dialled));
    });
    return dial;
  }

  void stop() noexcept override {
    if (listener_ == nullptr) return;
    hub_->remove(self_);
    run_on_shard(listener_->shard, [this] { listener_->open = false; });
    listener_.reset();
  }

 private:
  Result<InstanceId> parse(ByteSpan entry) const {
    const std::string_view text = as_text(entry);
    constexpr std::string_view scheme = "inproc://";
    const std::size_t slash = text.find('/', scheme.size());
    if (!text.starts_with(scheme) || slash == std::string_view::npos) {
      return make_error(Errc::invalid_address, "needs inproc://HUB/INSTANCE");
    }
    Result<InstanceId> instance = InstanceId::parse(text.substr(slash + 1));
    if (!instance) return make_error(Errc::invalid_address, instance.error().context());
    if (!text.starts_with(hub_->prefix())) {
      return make_error(Errc::no_endpoint, instance->to_string() + " is in another process");
    }
    return instance;
  }

  const std::shared_ptr<InprocHub> hub_;
  InstanceId self_;
  std::shared_ptr<MemoryBudget> budget_;
  std::shared_ptr<InprocListener> listener_;
};

}  // namespace inproc_detail

std::shared_ptr<InprocHub> make_inproc_hub(std::uint64_t id) {
  return std::make_shared<InprocHub>(id);
}

std::unique_ptr<Transport> make_inproc(std::shared_ptr<InprocHub> hub) {
  return std::make_unique<inproc_detail::InprocTransport>(std::move(hub));
}

}  // namespace velo::transport
