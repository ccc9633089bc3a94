// SPDX-License-Identifier: Apache-2.0
// Servers that are none: rubbish, answers without end, answers that lie. Operations end, nothing
// grows, and nobody asks without a pause.

#include <fmt/format.h>
#include <sys/uio.h>

#include <array>
#include <list>
#include <span>

#include "testing/etcd_fixture.hpp"

namespace velo::discovery::etcd_test {

/// Answers each read with the same bytes; with `endless`, with its last ones for ever.
class RawServer {
 public:
  RawServer(sim::SimNode& node, std::string answer, bool endless)
      : answer_(std::move(answer)), endless_(endless) {
    auto listener = node.network().listen(
        node.shard(0), node.endpoint(2379), ListenOptions(),
        [this](Result<std::unique_ptr<ByteStream>> stream) {
          if (!stream) return;
          ++connections;
          streams_.push_back(std::make_unique<Client>(*this, std::move(*stream)));
        });
    EXPECT_TRUE(listener);
    listener_ = std::move(*listener);
  }

  int connections = 0;
  std::uint64_t bytes = 0;  ///< that clients took

 private:
  struct Client final : StreamEvents {
    Client(RawServer& owner, std::unique_ptr<ByteStream> s) : server(owner), stream(std::move(s)) {
      stream->attach(*this);
    }
    void on_readable() override {
      std::array<std::byte, 4096> piece;
      for (;;) {
        const IoResult result = stream->try_read(piece);
        if (result.status == IoResult::Status::would_block) return;
        if (result.status != IoResult::Status::ok) return stream->close();
        out += server.answer_;
        write();
      }
    }
    void on_writable() override { write(); }
    void write() {
      for (;;) {
        if (out.empty() && server.endless_) out.assign(65'536, 'x');
        if (out.empty()) return;
        const iovec rest{out.data(), out.size()};
        const IoResult result = stream->try_write(std::span(&rest, 1));
        if (result.status == IoResult::Status::would_block) return stream->want_write();
        if (result.status != IoResult::Status::ok) return;
        server.bytes += result.bytes;
        out.erase(0, result.bytes);
      }
    }
    RawServer& server;
    std::unique_ptr<ByteStream> stream;
    std::string out;
  };

  std::string answer_;
  bool endless_;
  std::unique_ptr<Listener> listener_;
  std::list<std::unique_ptr<Client>> streams_;
};

static std::string chunked(const std::string& line) {
  return fmt::format("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                     line.size(), line);
}

static std::string with_length(const std::string& body) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
}

struct Hostile {
  const char* name;
  std::string answer;
  bool endless;
};

static std::vector<Hostile> hostile_servers() {
  const std::string header = R"("header":{"cluster_id":"1","revision":"5"})";
  return {
      {"says nothing", "", false},
      {"rubbish", "no HTTP at all\r\n\r\n", false},
      {"two answers", with_length("{}") + with_length("{}"), false},
      {"another's JSON", with_length(R"({"header":7})"), false},
      {"more that never comes", with_length("{" + header + R"(,"more":true,"kvs":[{}]})"), false},
      {"the same page for ever",
       with_length("{" + header + R"(,"more":true,"kvs":[{"key":"L3ZlbG8vZGVtby9wZWVycy8h"}]})"),
       false},
      {"a head without end", "HTTP/1.1 200 OK\r\nX: ", true},
      {"a body without end", "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n",
       true},
      {"a lease of a thousand years",
       with_length("{" + header + R"(,"ID":"1","TTL":"31536000000"})"), false},
      {"a lease of no time", with_length("{" + header + R"(,"ID":"1","TTL":"0"})"), false},
      {"a watch that is over at once",
       chunked(R"({"result":{)" + header +
               R"(,"created":true}})"
               "\n"),
       false},
  };
}

TEST_F(EtcdFixture, OperationsEndWhateverAServerAnswers) {
  for (const Hostile& hostile : hostile_servers()) {
    SCOPED_TRACE(hostile.name);
    sim::SimNode& node = sim.add_node(std::string("hostile ") + hostile.name);
    RawServer raw(node, hostile.answer, hostile.endless);
    EtcdOptions how = options();
    how.endpoints = {node.endpoint(2379)};
    reader = join(here, how);
    const auto watching = watch(*reader);
    const TimePoint begin = sim.now();
    const auto listed = wait(reader->list());
    const auto found = wait(reader->discover_by_instance_id(make_peer("").instance_id));
    const auto announced = wait(reader->announce(make_peer("a")));
    // A list of nothing, and an announcement that was acknowledged, may be believed.
    EXPECT_FALSE(found);
    EXPECT_LE(sim.now() - begin, seconds(35));
    EXPECT_TRUE(view.empty());
    sim.run_for(minutes(1));
    EXPECT_GT(raw.connections, 0);
    EXPECT_LE(raw.connections, 300) << "pauses grow";
    EXPECT_LE(raw.bytes, std::uint64_t{300} * limits::etcd_message_bytes_max);
    static_cast<void>(listed);
    static_cast<void>(announced);
    reader.reset();
    sim.run_for(minutes(1));
  }
}

}  // namespace velo::discovery::etcd_test
