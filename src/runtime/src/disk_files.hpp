// SPDX-License-Identifier: Apache-2.0
// The file system as a World's Files. New files are readable by their owner only (0600), new
// folders 0700.
// Threading: as Files says.
#pragma once

#include <velo/base/files.hpp>

#include <memory>
#include <string>
#include <vector>

namespace velo::runtime {

class DiskFiles final : public Files {
 public:
  Result<Bytes> read(const std::string& path, std::size_t bytes_max) override;
  Result<SecretFile> read_secret(const std::string& path, std::size_t bytes_max) override;
  Result<void> write_atomic(const std::string& path, ByteSpan contents) override;
  Result<void> append(const std::string& path, ByteSpan contents) override;
  Result<std::unique_ptr<FileReader>> open(const std::string& path) override;
  Result<std::unique_ptr<FileWriter>> replace(const std::string& path) override;
  Result<void> remove(const std::string& path) override;
  Result<void> create_directories(const std::string& path) override;
  Result<std::vector<FileInfo>> list(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> try_lock(const std::string& path) override;
};

}  // namespace velo::runtime
