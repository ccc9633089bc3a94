// SPDX-License-Identifier: Apache-2.0
// A large file from one process to another: send_file [--megabytes N]. The owner gives away a
// handle; the reader pulls the file chunk by chunk into a file of its own, which appears when all
// of it has come. Neither has more than a few chunks in memory.

#include <velo/codec/peer_info.hpp>
#include <velo/velo.hpp>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

namespace send_file {

struct Offer {
  velo::PeerInfo owner;
  std::string handle;
};
VELO_DESCRIBE(Offer, owner, handle);

static std::size_t peak_megabytes() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  return static_cast<std::size_t>(use.ru_maxrss) / 1024;
}

static void make_file(const std::string& path, std::size_t megabytes) {
  std::ofstream out(path, std::ios::binary);
  std::string block(std::size_t{1} << 20, '\0');
  for (std::size_t i = 0; i < megabytes; ++i) {
    for (std::size_t k = 0; k < block.size(); ++k) block[k] = static_cast<char>(k * 7 + i);
    out << block;
  }
}

/// Before any node exists, since threads do not survive a fork. The offer comes through a pipe.
static velo::Result<Offer> start_owner(const std::string& path) {
  int ends[2];
  if (::pipe(ends) != 0) return velo::make_error(velo::Errc::io, "no pipe");
  if (::fork() == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // ends with this process
    auto node = velo::Velo::builder().build();
    if (!node) std::_Exit(1);
    const std::size_t before = peak_megabytes();
    auto took = [before](velo::Context&) {
      return velo::Bytes::copy(std::to_string(peak_megabytes() - before));
    };
    auto added =
        (*node)->register_handler(velo::Handler::unary_handler("took", std::move(took)).build());
    auto handle = (*node)->data().register_file(path);
    if (!added || !handle) std::_Exit(1);
    Offer offer;
    offer.owner = (*node)->peer_info();
    offer.handle = handle->to_string();
    const std::string line = velo::to_json(offer);
    if (::write(ends[1], line.data(), line.size()) < 0) std::_Exit(1);
    ::close(ends[1]);
    for (;;) ::pause();
  }
  ::close(ends[1]);
  std::string line;
  char letter = 0;
  while (::read(ends[0], &letter, 1) == 1) line += letter;
  ::close(ends[0]);
  return velo::from_json<Offer>(line);
}

static bool same(const std::string& one, const std::string& other) {
  std::ifstream a(one, std::ios::binary);
  std::ifstream b(other, std::ios::binary);
  std::string left(std::size_t{1} << 20, '\0');
  std::string right(left);
  while (a && b) {
    a.read(left.data(), static_cast<std::streamsize>(left.size()));
    b.read(right.data(), static_cast<std::streamsize>(right.size()));
    if (a.gcount() != b.gcount() || left != right) return false;
  }
  return true;
}

static velo::Result<void> run(const std::string& folder, std::size_t megabytes) {
  const std::string source = folder + "/source";
  const std::string copy = folder + "/copy";
  make_file(source, megabytes);
  auto offer = start_owner(source);
  if (!offer) return offer.error();

  auto built = velo::Velo::builder().build();
  if (!built) return built.error();
  velo::Velo& node = **built;
  if (auto known = node.register_peer(offer->owner); !known) return known;
  auto handle = velo::DataHandle::parse(offer->handle);
  if (!handle) return handle.error();
  auto about = node.data().metadata(*handle).get();
  if (!about) return about.error();
  std::printf("offered: %zu MiB\n", static_cast<std::size_t>(about->total_bytes >> 20U));

  const std::size_t before = peak_megabytes();
  auto lease = node.data().get_into(*handle, velo::write_to_file(node.world().files(), copy)).get();
  if (!lease) return lease.error();
  const std::size_t took = peak_megabytes() - before;
  auto released = node.data().release(*handle, *lease).get();
  if (!released) return released;
  auto owner = node.unary("took").raw_payload("").instance(offer->owner.instance_id).send().get();
  if (!owner) return owner.error();
  std::printf("the copy is the same: %s\n", same(source, copy) ? "yes" : "no");
  const bool little = took < 64 && std::strtoul(owner->to_string().c_str(), nullptr, 10) < 64;
  std::printf("each end took less than 64 MiB of memory: %s\n", little ? "yes" : "no");
  auto again = node.data().metadata(*handle).get();
  std::printf("afterwards: %s\n",
              again ? "still there" : velo::error_code_name(again.error().code()).c_str());
  return {};
}

}  // namespace send_file

int main(int count, char** arguments) {
  std::size_t megabytes = 256;
  if (count == 3 && std::string_view(arguments[1]) == "--megabytes") {
    megabytes = std::strtoul(arguments[2], nullptr, 10);
  } else if (count != 1) {
    std::puts("usage: send_file [--megabytes N]");
    return 2;
  }
  std::string folder = (std::filesystem::temp_directory_path() / "velo-send-file-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  auto ended = send_file::run(folder, megabytes);
  std::filesystem::remove_all(folder);
  if (!ended) std::fprintf(stderr, "send_file: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
