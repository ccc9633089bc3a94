// SPDX-License-Identifier: Apache-2.0
// What the tests of multicast discovery share: cheap signatures, a seeded Random, announcers and
// their datagrams as values.
// Threading: the test's thread.
#pragma once

#include <velo/base/network.hpp>
#include <velo/crypto/node_id.hpp>
#include <velo/discovery/backends/multicast/signing.hpp>

#include "announcer.hpp"
#include "roster.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <utility>

namespace velo::discovery::multicast::kit {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t cluster = 77;
constexpr std::int64_t epoch_milliseconds = 1'767'225'600'000;

inline Now at(Duration since_start) {
  const std::int64_t unix_nanoseconds = epoch_milliseconds * 1'000'000 + since_start.count();
  return {TimePoint(since_start + seconds(1000)), WallTime{unix_nanoseconds}};
}

/// A digest instead of a signature: costs little, and a test can still tell who signed.
class CheapSigning final : public Signing {
 public:
  explicit CheapSigning(std::uint64_t seed) { std::memcpy(key_.data(), &seed, sizeof seed); }
  RawKey key() const override { return key_; }
  Result<Signature> sign(ByteSpan message) const override { return digest(key_, message); }
  bool verify(const RawKey& key, ByteSpan message, ByteSpan signature) const override {
    const Signature right = digest(key, message);
    return std::ranges::equal(signature, std::as_bytes(std::span(right)));
  }

 private:
  static Signature digest(const RawKey& key, ByteSpan message) {
    std::string text(reinterpret_cast<const char*>(key.data()), key.size());
    text += as_text(message);
    const NodeId whole = NodeId::of(as_bytes(text));
    Signature made{};
    std::ranges::copy(whole.bytes(), made.begin());
    return made;
  }
  RawKey key_{};
};

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t next() noexcept override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

inline InstanceId instance(std::uint32_t number) {
  std::array<std::uint8_t, 16> bytes{1};
  std::memcpy(bytes.data() + 10, &number, sizeof number);
  return InstanceId(bytes);
}

inline Row peer_row(std::uint32_t number, std::string_view address = "here") {
  return Row{{}, instance(number), {{"tcp", Bytes::copy(address)}}};
}

inline NetAddress source(std::uint32_t number) {
  NetAddress made;
  std::memcpy(made.ip.data(), &number, sizeof number);
  return made;
}

/// Somebody who signs, with a key of their own.
struct Speaker {
  explicit Speaker(std::uint64_t seed, std::uint64_t of_cluster = cluster)
      : signing(seed), random(seed), announcer(options(of_cluster), signing, random) {}
  static AnnouncerOptions options(std::uint64_t of_cluster) {
    AnnouncerOptions made;
    made.cluster = of_cluster;
    return made;
  }
  Datagrams put(const Row& row, const Now& now) {
    Datagrams out;
    static_cast<void>(announcer.put(row));
    announcer.flush(now, out);
    return out;
  }
  Datagrams remove(const Row& row, const Now& now) {
    Datagrams out;
    announcer.remove(row.key());
    announcer.flush(now, out);
    return out;
  }

  CheapSigning signing;
  SeededRandom random;
  Announcer announcer;
};

struct Listener {
  explicit Listener(const RosterOptions& options = with_cluster())
      : roster(options, signing, random) {}
  static RosterOptions with_cluster() {
    RosterOptions made;
    made.cluster = cluster;
    return made;
  }
  RosterOut hear(const Datagrams& datagrams, const Now& now, const NetAddress& from = source(1)) {
    RosterOut out;
    for (const auto& datagram : datagrams) roster.receive(from, datagram, now, out);
    return out;
  }
  RosterOut tick(const Now& now) {
    RosterOut out;
    roster.tick(now, out);
    return out;
  }
  bool has(const Row& row) const {
    const Row* held = roster.find(row.key());
    return held != nullptr && *held == row;
  }

  CheapSigning signing{0};
  SeededRandom random{99};
  Roster roster;
};

}  // namespace velo::discovery::multicast::kit
