// SPDX-License-Identifier: Apache-2.0
// bench rendezvous: a gibibyte that one process reads from another, as a ratio to a plain TCP
// connection that carries the same bytes from and into the same kind of memory. A message is a
// mebibyte. How much memory both ends took beyond the data itself is printed beside.

#include <velo/bench/suite.hpp>

#include <velo/codec/json.hpp>
#include <velo/codec/peer_info.hpp>
#include <velo/messenger/messenger.hpp>
#include <velo/rendezvous/rendezvous.hpp>
#include <velo/runtime/real_world.hpp>
#include <velo/transport/backends/tcp.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace velo::bench {
namespace rendezvous_suite {

constexpr std::size_t mebibyte = std::size_t{1} << 20;
constexpr std::size_t total = std::size_t{1} << 30;

[[noreturn]] static void fail(const std::string& what) {
  std::fprintf(stderr, "bench rendezvous: %s\n", what.c_str());
  ::_exit(3);
}

template <class T>
static T must(Result<T> result) {
  if (!result) fail(result.error().to_string());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

static std::uint64_t peak_bytes() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return static_cast<std::uint64_t>(use.ru_maxrss) * 1024;
}

/// Memory that is there already, page by page.
static std::vector<std::byte> touched(std::size_t bytes) {
  return std::vector<std::byte>(bytes, std::byte{42});
}

// ---- ours

struct Node {
  std::unique_ptr<runtime::RealWorld> world;
  std::unique_ptr<Messenger> messenger;
  std::optional<Rendezvous> data;
};

static Node make_node() {
  Node node;
  node.world = must(runtime::RealWorld::create());
  auto builder = Messenger::builder(*node.world);
  builder.add_transport(transport::make_tcp()).memory_budget(std::size_t{3} << 30);
  node.messenger = must(builder.build());
  node.data.emplace(must(Rendezvous::attach(*node.messenger)));
  return node;
}

struct Serving {
  PeerInfo peer;
  std::string handle;
};
VELO_DESCRIBE(Serving, peer, handle);

[[noreturn]] static void serve_ours(int ready) {
  Node node = make_node();
  RegisterOptions options;
  options.pinned = true;
  const DataHandle handle = must(node.data->register_data(Bytes::own(touched(total)), options));
  const std::uint64_t before = peak_bytes();
  must(node.messenger->register_handler(Handler::unary_handler("extra", [before](Context&) {
                                          return Bytes::copy(std::to_string(peak_bytes() - before));
                                        }).build()));
  const std::string line =
      codec::to_json(Serving{node.messenger->peer_info(), handle.to_string()}) + "\n";
  if (::write(ready, line.data(), line.size()) < 0) ::_exit(3);
  for (;;) ::pause();
}

/// Looks at what comes, and lets it go.
class Discard final : public DataWriter {
 public:
  bool blocks() const noexcept override { return false; }
  Result<void> begin(std::uint64_t /*bytes*/) override { return {}; }
  Result<void> write(std::uint64_t /*offset*/, const Bytes& /*chunk*/) override { return {}; }
  Result<void> finish() override { return {}; }
};

static Measurement run_ours(const Spec& spec, bool into_memory) {
  const Serving serving = must(codec::from_json<Serving>(start_server(spec, serve_ours)));
  Node node = make_node();
  must(node.messenger->register_peer(serving.peer));
  const DataHandle handle = must(DataHandle::parse(serving.handle));
  static_cast<void>(must(node.data->metadata(handle).get()));
  std::vector<std::byte> memory = touched(into_memory ? total : 0);
  const std::uint64_t before = peak_bytes();
  Measurement done;
  const std::int64_t begin = now_ns();
  auto lease = must(
      node.data
          ->get_into(handle, into_memory ? write_to_memory(memory) : std::make_unique<Discard>())
          .get());
  done.seconds = static_cast<double>(now_ns() - begin) / 1e9;
  done.messages = static_cast<double>(total / mebibyte);
  const std::uint64_t extra = peak_bytes() - before;
  must(node.data->detach(handle, lease).get());
  const Bytes owner = must(node.messenger->unary("extra")
                               .raw_payload(Bytes())
                               .instance(serving.peer.instance_id)
                               .send()
                               .get());
  std::fprintf(stderr, "\nextra memory: reader %.1f MiB, owner %.1f MiB\n",
               static_cast<double>(extra) / mebibyte,
               std::strtod(owner.to_string().c_str(), nullptr) / mebibyte);
  return done;
}

// ---- the floor

[[noreturn]] static void serve_floor(int ready) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener, 1) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    fail("no listener");
  }
  const std::vector<std::byte> source = touched(total);
  const std::string line = std::to_string(ntohs(address.sin_port)) + "\n";
  if (::write(ready, line.data(), line.size()) < 0) ::_exit(3);
  const int connection = ::accept(listener, nullptr, nullptr);
  char go = 0;
  if (::read(connection, &go, 1) != 1) ::_exit(3);
  for (std::size_t sent = 0; sent < total;) {
    const ssize_t count = ::write(connection, source.data() + sent, total - sent);
    if (count <= 0) fail("the floor's writer");
    sent += static_cast<std::size_t>(count);
  }
  for (;;) ::pause();
}

static Measurement run_floor_transfer(const Spec& spec, bool into_memory) {
  const std::string port = start_server(spec, serve_floor);
  const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port.c_str())));
  if (::connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fail("the floor cannot connect");
  }
  constexpr std::size_t scratch_bytes = std::size_t{512} << 10;
  std::vector<std::byte> memory = touched(into_memory ? total : scratch_bytes);
  Measurement done;
  const std::int64_t begin = now_ns();
  if (::write(connection, "g", 1) != 1) fail("the floor's request");
  for (std::size_t got = 0; got < total;) {
    std::byte* const at = memory.data() + (into_memory ? got : 0);
    const ssize_t count = ::read(connection, at, std::min(scratch_bytes, total - got));
    if (count <= 0) fail("the floor's reader");
    got += static_cast<std::size_t>(count);
  }
  done.seconds = static_cast<double>(now_ns() - begin) / 1e9;
  done.messages = static_cast<double>(total / mebibyte);
  return done;
}

static std::vector<Case> cases(double seconds) {
  std::vector<Case> all;
  for (const bool into_memory : {false, true}) {
    Spec spec;
    spec.shape = Shape::one_way;
    spec.payload_bytes = mebibyte;
    spec.one_core = false;
    spec.seconds = std::max(seconds, 5.0);
    all.emplace_back(
        into_memory ? "transfer_1g_memory" : "transfer_1g", spec,
        [spec, into_memory] { return run_floor_transfer(spec, into_memory); },
        [spec, into_memory] { return run_ours(spec, into_memory); });
  }
  return all;
}

}  // namespace rendezvous_suite
}  // namespace velo::bench

int main(int count, char** arguments) {
  return velo::bench::run_suite("rendezvous", count, arguments,
                                velo::bench::rendezvous_suite::cases);
}
