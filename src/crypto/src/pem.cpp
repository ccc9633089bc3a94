// SPDX-License-Identifier: Apache-2.0
// Reading and writing PEM with OpenSSL's reader.

#include "pem.hpp"

#include <openssl/pem.h>
#include <velo/crypto/limits.hpp>

#include <cstring>

#include "openssl.hpp"
#include "wiped.hpp"

namespace velo::crypto {
namespace pem_detail {

struct RawBlock {
  char* label = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;

  RawBlock() noexcept = default;
  RawBlock(const RawBlock&) = delete;
  RawBlock& operator=(const RawBlock&) = delete;
  ~RawBlock() {
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<std::size_t>(size));
  }
};

}  // namespace pem_detail

Result<std::vector<Bytes>> read_pem(std::string_view text, const char* label,
                                    std::size_t blocks_max, std::size_t block_bytes_max) {
  const ErrorScope scope;
  if (text.size() > limits::file_bytes_max) {
    return make_error(Errc::malformed, std::string(label) + " text is too large");
  }
  const BioPtr source(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (source == nullptr) return internal_failure("PEM");
  std::vector<Bytes> blocks;
  for (;;) {
    pem_detail::RawBlock block;
    if (PEM_read_bio(source.get(), &block.label, &block.header, &block.data, &block.size) != 1) {
      if (ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) break;
      return failure(Errc::malformed, std::string("PEM of a ") + label);
    }
    if (std::strcmp(block.label, label) != 0) continue;
    if (*block.header != '\0' || static_cast<std::size_t>(block.size) > block_bytes_max ||
        blocks.size() == blocks_max) {
      return make_error(Errc::malformed,
                        std::string(label) + " is encrypted, too large, or one too many");
    }
    blocks.push_back(wiped_copy(output(block.data, static_cast<std::size_t>(block.size))));
  }
  if (blocks.empty()) return make_error(Errc::malformed, std::string("no ") + label + " in it");
  return blocks;
}

std::string write_pem(const char* label, ByteSpan contents) {
  const ErrorScope scope;
  const BioPtr sink(BIO_new(BIO_s_mem()));
  if (sink == nullptr || PEM_write_bio(sink.get(), label, "", input(contents),
                                       static_cast<long>(contents.size())) <= 0) {
    return {};
  }
  const char* data = nullptr;
  const long size = BIO_get_mem_data(sink.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace velo::crypto
