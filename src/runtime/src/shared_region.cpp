// SPDX-License-Identifier: Apache-2.0
// Making, checking and mapping shared memory, and the bells beside it.

#include "shared_region.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include "system_error.hpp"

namespace velo::runtime {
namespace shared_region_detail {

constexpr int needed_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

static Descriptor make_file() noexcept {
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
#ifdef MFD_NOEXEC_SEAL
  const int sealed = ::memfd_create("velo-shm", flags | MFD_NOEXEC_SEAL);
  if (sealed >= 0 || errno != EINVAL) return Descriptor(sealed);
#endif
  return Descriptor(::memfd_create("velo-shm", flags));
}

static Result<MappedRegion> map(const Descriptor& file, std::size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED) return system_error("mmap of shared memory", errno);
  // A core dump says enough without it, and a child of fork() has no business in it.
  ::madvise(at, bytes, MADV_DONTDUMP);
  ::madvise(at, bytes, MADV_DONTFORK);
  return MappedRegion(static_cast<std::byte*>(at), bytes);
}

static Error refused(const char* why) {
  return make_error(Errc::invalid_argument, std::string("shared memory from a peer: ") + why);
}

}  // namespace shared_region_detail

using namespace shared_region_detail;  // NOLINT(google-build-using-namespace)

MappedRegion::~MappedRegion() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

Result<SharedRegion> make_region(std::size_t bytes) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  bytes = (bytes + page - 1) / page * page;
  SharedRegion region;
  region.file = make_file();
  if (!region.file) return system_error("memfd_create", errno);
  if (const int code = ::posix_fallocate(region.file.get(), 0, static_cast<off_t>(bytes));
      code != 0) {
    return system_error("memory to share", code);
  }
  if (::fcntl(region.file.get(), F_ADD_SEALS, needed_seals) != 0) {
    return system_error("sealing shared memory", errno);
  }
  auto mapped = map(region.file, bytes);
  if (!mapped.has_value()) return mapped.error();
  region.memory = std::move(*mapped);
  return region;
}

Result<MappedRegion> adopt_region(const Descriptor& file, std::size_t bytes) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return system_error("fstat of shared memory", errno);
  if (!S_ISREG(status.st_mode)) return refused("not a file");
  // Files of huge pages can be sealed, too, but touching them may fail.
  struct statfs system{};
  if (::fstatfs(file.get(), &system) != 0) return system_error("fstatfs of shared memory", errno);
  if (system.f_type != TMPFS_MAGIC) return refused("not of usual pages");
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  if (bytes == 0 || bytes % page != 0 || status.st_size != static_cast<off_t>(bytes)) {
    return refused("not as long as it was said to be");
  }
  // Only memory files can have these.
  const int seals = ::fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & needed_seals) != needed_seals) return refused("not sealed");
  return map(file, bytes);
}

Result<Descriptor> make_bell() {
  Descriptor bell(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!bell) return system_error("eventfd", errno);
  return bell;
}

bool is_bell(const Descriptor& file) {
  std::array<char, 64> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(file.get());
  const ssize_t length = ::readlink(link.c_str(), target.data(), target.size());
  if (length <= 0) return false;
  return std::string_view(target.data(), static_cast<std::size_t>(length)) ==
         "anon_inode:[eventfd]";
}

void ring_bell(const Descriptor& bell) noexcept {
  const std::uint64_t nothing = 0;
  while (::write(bell.get(), &nothing, sizeof nothing) < 0 && errno == EINTR) {
  }
}

}  // namespace velo::runtime
