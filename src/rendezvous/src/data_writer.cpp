// SPDX-License-Identifier: Apache-2.0
// Writers into memory and into files.

#include <velo/rendezvous/data_writer.hpp>

#include <velo/rendezvous/error.hpp>

#include <algorithm>
#include <utility>

namespace velo {
namespace data_writer_detail {

class MemoryWriter final : public DataWriter {
 public:
  explicit MemoryWriter(std::span<std::byte> out) noexcept : out_(out) {}
  bool blocks() const noexcept override { return false; }
  Result<void> begin(std::uint64_t total_bytes) override {
    if (total_bytes <= out_.size()) return {};
    return rendezvous::make_error(
        rendezvous::Errc::too_large,
        std::to_string(total_bytes) + " bytes into a buffer of " + std::to_string(out_.size()));
  }
  Result<void> write(std::uint64_t offset, const Bytes& chunk) override {
    if (offset > out_.size() || chunk.size() > out_.size() - offset) {
      return rendezvous::make_error(rendezvous::Errc::too_large, "beyond the end of the buffer");
    }
    std::ranges::copy(chunk.span(), out_.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Result<void> finish() override { return {}; }

 private:
  std::span<std::byte> out_;
};

class FileDataWriter final : public DataWriter {
 public:
  FileDataWriter(Files& files, std::string path) noexcept : files_(files), path_(std::move(path)) {}
  Result<void> begin(std::uint64_t /*total_bytes*/) override {
    auto file = files_.replace(path_);
    if (!file) return file.error();
    file_ = std::move(*file);
    return {};
  }
  Result<void> write(std::uint64_t offset, const Bytes& chunk) override {
    return file_->write_at(offset, chunk);
  }
  Result<void> finish() override { return file_->commit(); }

 private:
  Files& files_;
  std::string path_;
  std::unique_ptr<FileWriter> file_;
};

}  // namespace data_writer_detail

std::unique_ptr<DataWriter> write_to_memory(std::span<std::byte> out) {
  return std::make_unique<data_writer_detail::MemoryWriter>(out);
}

std::unique_ptr<DataWriter> write_to_file(Files& files, std::string path) {
  return std::make_unique<data_writer_detail::FileDataWriter>(files, std::move(path));
}

}  // namespace velo
