// SPDX-License-Identifier: Apache-2.0
// Every public header whose `Threading:` line lets several threads in has a test in this program
// that uses what it declares from eight threads at once; it is meant for ThreadSanitizer.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace velo::threads_test {
namespace shared_table_test {

using Table = std::map<std::string, std::string>;

/// Header, as it is included: the test that shares it. Up to the messenger, and the facade.
static const Table below = {
    {"velo/base/budget.hpp", "SharedValues.ABudgetIsNeverOverdrawn"},
    {"velo/base/bytes.hpp", "SharedValues.BytesOfOneBlock"},
    {"velo/base/check.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/base/dead_letter.hpp", "SharedQueue.EveryItemIsWorkedOffOrADeadLetter"},
    {"velo/base/error.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/base/executor.hpp", "SharedWorld.ExecutorsRunEachTaskOnce"},
    {"velo/base/files.hpp", "SharedWorld.FilesAreReadAndWritten"},
    {"velo/base/log.hpp", "SharedValues.LogLines"},
    {"velo/base/metrics.hpp", "SharedValues.MetricsOfOneRegistry"},
    {"velo/base/op.hpp", "SharedValues.APromiseIsSetOnce"},
    {"velo/base/stripe.hpp", "SharedValues.MetricsOfOneRegistry"},
    {"velo/base/world.hpp", "SharedWorld.ClockRandomnessAndTimers"},
    {"velo/codec/base58.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/base64.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/error.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/hex.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/int128.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/json.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/msgpack.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/peer_info.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/codec/varint.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/crypto/credentials.hpp", "SharedCrypto.CredentialsAreReplacedWhileTheyAreRead"},
    {"velo/crypto/error.hpp", "SharedCrypto.SealsAreMadeAndOpened"},
    {"velo/crypto/identity_store.hpp", "SharedCrypto.AnIdentityIsRotatedWhileItIsRead"},
    {"velo/crypto/key.hpp", "SharedCrypto.OneKeyAndOneTrustStoreServeEverybody"},
    {"velo/crypto/trust.hpp", "SharedCrypto.OneKeyAndOneTrustStoreServeEverybody"},
    {"velo/discovery/backends/etcd.hpp", "SharedDiscovery.Etcd"},
    {"velo/discovery/backends/filesystem.hpp", "SharedDiscovery.Filesystem"},
    {"velo/discovery/backends/filesystem/entry.hpp", "SharedDiscovery.Filesystem"},
    {"velo/discovery/backends/multicast.hpp", "SharedDiscovery.Multicast"},
    {"velo/discovery/backends/multicast/message.hpp", "SharedDiscovery.Multicast"},
    {"velo/discovery/backends/multicast/signing.hpp", "SharedDiscovery.Multicast"},
    {"velo/discovery/backends/static.hpp", "SharedDiscovery.Static"},
    {"velo/discovery/directory.hpp", "SharedDiscovery.DirectoryOfTwo"},
    {"velo/discovery/change.hpp", "SharedDiscovery.Static"},
    {"velo/discovery/discovery.hpp", "SharedDiscovery.Static"},
    {"velo/discovery/error.hpp", "SharedDiscovery.Filesystem"},
    {"velo/discovery/feed.hpp", "SharedDiscovery.PeerFeed"},
    {"velo/discovery/services.hpp", "SharedDiscovery.Services"},
    {"velo/messenger/context.hpp", "SharedNodes.AStopTokenOutlivesItsHandler"},
    {"velo/messenger/handler.hpp", "SharedNodes.MessengersDoEverythingAtOnce"},
    {"velo/messenger/messenger.hpp", "SharedNodes.MessengersDoEverythingAtOnce"},
    {"velo/messenger/subsystem.hpp", "SharedSubsystems.AreAttachedAndUsedByAll"},
    {"velo/messenger/payload_resolver.hpp", "SharedData.IsRegisteredReadAndReleasedByAll"},
    {"velo/runtime/real_world.hpp", "SharedWorld.ClockRandomnessAndTimers"},
    {"velo/sim/scenario.hpp", "SharedWorld.OneScenarioRunsInEveryThreadAlike"},
    {"velo/sim/seeds.hpp", "SharedWorld.OneRangeOfSeedsIsWorkedOffTogether"},
    {"velo/sim/simulation.hpp", "SharedWorld.OneScenarioRunsInEveryThreadAlike"},
    {"velo/telemetry/scrape_endpoint.hpp", "SharedTelemetry.ScrapedWhileItEnds"},
    {"velo/telemetry/trace_exporter.hpp",
     "SharedTelemetry.SpansOfEightThreadsAreExportedOrCounted"},
    {"velo/transport/backends/inproc.hpp",
     "Connections/SharedTransport.TakesEverybodysFrames/Inproc"},
    {"velo/transport/backends/quic.hpp", "Connections/SharedTransport.TakesEverybodysFrames/Quic"},
    {"velo/transport/connection.hpp", "Connections/SharedTransport.TakesEverybodysFrames/Tcp"},
    {"velo/transport/framing.hpp", "SharedValues.PureFunctionsOfTheCodec"},
    {"velo/transport/gatekeeper.hpp", "SharedGate.CountsEverybody"},
    {"velo/transport/on_shard.hpp", "SharedWorld.ExecutorsRunEachTaskOnce"},
    {"velo/transport/transport.hpp", "Connections/SharedTransport.TakesEverybodysFrames/Uds"},
    {"velo/velo.hpp", "SharedNodes.FacadesDoEverythingAtOnce"},
};

/// Of the rooms above the messenger.
static const Table above = {
    {"velo/events/attach.hpp", "SharedEvents.TwoMachinesServeEverybody"},
    {"velo/events/event.hpp", "SharedEvents.AManagerServesEverybody"},
    {"velo/events/event_manager.hpp", "SharedEvents.AManagerServesEverybody"},
    {"velo/queue/backends/memory.hpp", "SharedQueue.EveryItemIsWorkedOffOrADeadLetter"},
    {"velo/queue/backends/messenger.hpp", "SharedQueue.EveryItemIsWorkedOffOrADeadLetter"},
    {"velo/queue/backends/nats.hpp", "SharedQueue.InNatsEveryItemIsWorkedOff"},
    {"velo/queue/error.hpp", "SharedQueue.EveryItemIsWorkedOffOrADeadLetter"},
    {"velo/queue/metrics.hpp", "SharedQueue.EveryItemIsWorkedOffOrADeadLetter"},
    {"velo/queue/queue.hpp", "SharedQueue.EveryItemIsWorkedOffOrADeadLetter"},
    {"velo/queue/typed.hpp", "SharedQueue.EveryItemIsWorkedOffOrADeadLetter"},
    {"velo/rendezvous/error.hpp", "SharedData.IsRegisteredReadAndReleasedByAll"},
    {"velo/rendezvous/rendezvous.hpp", "SharedData.IsRegisteredReadAndReleasedByAll"},
    {"velo/streaming/anchor.hpp", "SharedStreams.EachThreadsStreamsKeepTheirOrder"},
    {"velo/streaming/sender.hpp", "SharedStreams.EachThreadsStreamsKeepTheirOrder"},
    {"velo/streaming/streams.hpp", "SharedStreams.EachThreadsStreamsKeepTheirOrder"},
};

static Table all_of_them() {
  Table all = below;
  all.insert(above.begin(), above.end());
  return all;
}
static const Table table = all_of_them();

/// The text after `Threading:` in the header's opening, in lower case; empty when it has none.
static std::string threading_of(const std::filesystem::path& header) {
  std::ifstream in(header);
  std::string line;
  std::string text;
  bool inside = false;
  while (std::getline(in, line) && line.starts_with("//")) {
    const std::size_t at = line.find("Threading:");
    if (at != std::string::npos) inside = true;
    if (inside) text += line.substr(at != std::string::npos ? at : 2) + " ";
  }
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

static bool lets_several_in(const std::string& threading) {
  static const std::regex claims("any thread|from any|thread-safe|several threads|be shared");
  return std::regex_search(threading, claims);
}

/// Public headers of rooms and backends that may be shared, as they are included.
static std::set<std::string> shared_headers(const std::filesystem::path& source) {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(source / "src")) {
    const std::string path = entry.path().generic_string();
    const std::size_t include = path.find("/include/velo/");
    if (entry.path().extension() != ".hpp" || include == std::string::npos) continue;
    // Test support, which says itself who may use it.
    if (path.find("/conformance/") != std::string::npos) continue;
    const std::string threading = threading_of(entry.path());
    EXPECT_FALSE(threading.empty()) << path << " says nothing about threads";
    if (lets_several_in(threading)) found.insert(path.substr(include + 9));
  }
  return found;
}

static std::set<std::string> tests_of_this_program() {
  std::set<std::string> names;
  const testing::UnitTest& program = *testing::UnitTest::GetInstance();
  for (int i = 0; i < program.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *program.GetTestSuite(i);
    for (int k = 0; k < suite.total_test_count(); ++k) {
      names.insert(std::string(suite.name()) + "." + suite.GetTestInfo(k)->name());
    }
  }
  return names;
}

}  // namespace shared_table_test

TEST(SharedTable, EveryHeaderThatMayBeSharedHasATestOfEightThreads) {
  const char* const source = std::getenv("VELO_SOURCE_DIR");
  if (source == nullptr) GTEST_SKIP() << "VELO_SOURCE_DIR is not set: run by ctest";
  const std::set<std::string> headers = shared_table_test::shared_headers(source);
  ASSERT_GT(headers.size(), 20U);
  for (const std::string& header : headers) {
    EXPECT_TRUE(shared_table_test::table.contains(header))
        << header << " says that several threads may use it: share it in a test and add it here";
  }
  const std::set<std::string> tests = shared_table_test::tests_of_this_program();
  for (const auto& [header, test] : shared_table_test::table) {
    EXPECT_TRUE(headers.contains(header)) << header << " no longer says that it may be shared";
    EXPECT_TRUE(tests.contains(test)) << "no such test: " << test;
  }
}

}  // namespace velo::threads_test
