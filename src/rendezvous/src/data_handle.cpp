// SPDX-License-Identifier: Apache-2.0
// The text of data handles.

#include <velo/rendezvous/data_handle.hpp>

#include <velo/codec/int128.hpp>

namespace velo {

std::string DataHandle::to_string() const {
  codec::DecimalBuffer buffer;
  const codec::BigInteger number{codec::u128_from_halves(owner_.value(), local_), false};
  return std::string(codec::to_decimal(number, buffer));
}

Result<DataHandle> DataHandle::parse(std::string_view text) {
  codec::BigInteger number;
  if (codec::parse_decimal(text, number) && !number.negative) {
    const DataHandle handle(WorkerId(codec::high_half(number.magnitude)),
                            codec::low_half(number.magnitude));
    if (handle.valid()) return handle;
  }
  return make_error(Errc::invalid_argument, "not the decimal text of a data handle");
}

}  // namespace velo
