// SPDX-License-Identifier: Apache-2.0
// Bytes of multicast discovery, written and read.

#include <velo/discovery/backends/multicast/message.hpp>

#include <velo/base/check.hpp>
#include <velo/crypto/node_id.hpp>
#include <velo/discovery/backends/multicast/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace velo::discovery::multicast {
namespace message_detail {

constexpr std::array<std::uint8_t, 3> magic{'V', 'M', 'D'};
constexpr std::uint8_t version = 1;
constexpr std::uint8_t signed_flag = 1;
constexpr std::size_t head_bytes = 14;
constexpr std::size_t statement_bytes = head_bytes + 8 + 8 + 8 + 8 + 4 + 32 + 2;
constexpr std::size_t name_bytes_max = 255;

/// Of a part, besides the service's name and its bytes.
constexpr std::size_t part_bytes = 1 + 16 + 8 + 1 + 1 + 2;

enum class Kind : std::uint8_t { announcement = 1, goodbye = 2, question = 3, chain = 4, part = 5 };

class Writer {
 public:
  template <class Unsigned>
  void number(Unsigned value) {
    for (std::size_t i = sizeof value; i-- > 0;) {
      out_.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
    }
  }
  void raw(const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), from, from + size);
  }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

/// Reads on after an error, giving zeros; failed() says so.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : bytes_(bytes) {}
  template <class Unsigned>
  Unsigned number() {
    Unsigned value = 0;
    for (const std::byte byte : span(sizeof value)) {
      value = static_cast<Unsigned>(static_cast<std::uint64_t>(value) << 8U |
                                    std::to_integer<std::uint64_t>(byte));
    }
    return value;
  }
  ByteSpan span(std::size_t size) {
    if (size > bytes_.size() - at_) {
      failed_ = true;
      at_ = bytes_.size();
      return {};
    }
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  template <std::size_t size>
  std::array<std::uint8_t, size> array() {
    std::array<std::uint8_t, size> value{};
    const ByteSpan from = span(size);
    if (!from.empty()) std::memcpy(value.data(), from.data(), size);
    return value;
  }
  std::string text(std::size_t size) { return std::string(as_text(span(size))); }
  void fail() noexcept { failed_ = true; }
  bool failed() const noexcept { return failed_; }
  bool at_end() const noexcept { return at_ == bytes_.size(); }
  std::size_t at() const noexcept { return at_; }

 private:
  ByteSpan bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

static void write_row(Writer& out, const Row& row) {
  out.number(static_cast<std::uint8_t>(row.service.size()));
  out.raw(row.service.data(), row.service.size());
  out.raw(row.id.bytes().data(), row.id.bytes().size());
  out.number(static_cast<std::uint8_t>(row.entries.size()));
  for (const auto& [key, value] : row.entries) {
    out.number(static_cast<std::uint8_t>(key.size()));
    out.raw(key.data(), key.size());
    out.number(static_cast<std::uint16_t>(value.size()));
    out.raw(value.data(), value.size());
  }
}

static Row read_row(Reader& in) {
  Row row;
  row.service = in.text(in.number<std::uint8_t>());
  row.id = InstanceId(in.array<16>());
  if (!row.id.valid() || (!row.service.empty() && !valid_service_name(row.service))) in.fail();
  const auto count = in.number<std::uint8_t>();
  for (int i = 0; i < count && !in.failed(); ++i) {
    std::string key = in.text(in.number<std::uint8_t>());
    const ByteSpan value = in.span(in.number<std::uint16_t>());
    // In order and each once: what is accepted has one spelling.
    if (!row.entries.empty() && row.entries.rbegin()->first >= key) in.fail();
    row.entries.insert_or_assign(std::move(key), Bytes::copy(value));
  }
  if (!row.service.empty() && !in.failed() &&
      !check_service(ServiceInstance{row.service, row.id, row.entries})) {
    in.fail();
  }
  return row;
}

static void write_part(Writer& out, const Part& part) {
  out.number(static_cast<std::uint8_t>(part.row.first.size()));
  out.raw(part.row.first.data(), part.row.first.size());
  out.raw(part.row.second.bytes().data(), part.row.second.bytes().size());
  out.number(part.digest);
  out.number(part.index);
  out.number(part.count);
  out.number(static_cast<std::uint16_t>(part.bytes.size()));
  out.raw(part.bytes.data(), part.bytes.size());
}

static Part read_part(Reader& in) {
  Part part;
  part.row.first = in.text(in.number<std::uint8_t>());
  part.row.second = InstanceId(in.array<16>());
  part.digest = in.number<std::uint64_t>();
  part.index = in.number<std::uint8_t>();
  part.count = in.number<std::uint8_t>();
  part.bytes = Bytes::copy(in.span(in.number<std::uint16_t>()));
  const bool named = part.row.first.empty() || valid_service_name(part.row.first);
  if (!part.row.second.valid() || !named || part.count < 2 || part.count > limits::parts_max ||
      part.index >= part.count || part.bytes.empty()) {
    in.fail();
  }
  return part;
}

static std::uint64_t digest_of(ByteSpan bytes) {
  const NodeId whole = NodeId::of(bytes);
  std::uint64_t digest = 0;
  for (std::size_t i = 0; i < sizeof digest; ++i) digest = digest << 8U | whole.bytes().at(i);
  return digest;
}

static void write_head(Writer& out, Kind kind, bool is_signed, std::uint64_t cluster) {
  out.raw(magic.data(), magic.size());
  out.number(version);
  out.number(static_cast<std::uint8_t>(kind));
  out.number(is_signed ? signed_flag : std::uint8_t{0});
  out.number(cluster);
}

static void write(Writer& out, std::uint64_t cluster, const Statement& said) {
  const Kind kind = said.goodbye ? Kind::goodbye : Kind::announcement;
  write_head(out, said.part ? Kind::part : kind, said.is_signed, cluster);
  out.number(said.announcer);
  out.number(said.sequence);
  out.number(static_cast<std::uint64_t>(said.unix_milliseconds));
  out.number(said.answers);
  out.number(said.lifetime_milliseconds);
  out.raw(said.key.data(), said.key.size());
  if (said.part) return write_part(out, *said.part);
  out.number(static_cast<std::uint16_t>(said.rows.size()));
  for (const Row& row : said.rows) write_row(out, row);
}

static void write(Writer& out, std::uint64_t cluster, const Question& question) {
  write_head(out, Kind::question, false, cluster);
  out.number(question.asker);
  out.number(question.number);
  out.number(static_cast<std::uint8_t>(question.about));
  switch (question.about) {
    case Question::About::everything: break;
    case Question::About::instance:
      out.raw(question.instance.bytes().data(), question.instance.bytes().size());
      break;
    case Question::About::worker:
    case Question::About::announcer: out.number(question.id); break;
    case Question::About::certificates: out.raw(question.key.data(), question.key.size()); break;
  }
}

static void write(Writer& out, std::uint64_t cluster, const Chain& chain) {
  write_head(out, Kind::chain, false, cluster);
  out.number(static_cast<std::uint8_t>(chain.certificates.size()));
  for (const Bytes& der : chain.certificates) {
    out.number(static_cast<std::uint16_t>(der.size()));
    out.raw(der.data(), der.size());
  }
}

static Statement read_statement(Reader& in, Kind kind, bool is_signed) {
  Statement said;
  said.goodbye = kind == Kind::goodbye;
  said.is_signed = is_signed;
  said.announcer = in.number<std::uint64_t>();
  said.sequence = in.number<std::uint64_t>();
  said.unix_milliseconds = static_cast<std::int64_t>(in.number<std::uint64_t>());
  said.answers = in.number<std::uint64_t>();
  said.lifetime_milliseconds = in.number<std::uint32_t>();
  said.key = in.array<32>();
  if (kind == Kind::part) said.part = read_part(in);
  const auto count = said.part ? std::uint16_t{0} : in.number<std::uint16_t>();
  for (int i = 0; i < count && !in.failed(); ++i) {
    said.rows.push_back(read_row(in));
    if (said.goodbye && !said.rows.back().entries.empty()) in.fail();
  }
  if (said.announcer == 0 || said.sequence == 0) in.fail();
  return said;
}

static Question read_question(Reader& in) {
  Question question;
  question.asker = in.number<std::uint64_t>();
  question.number = in.number<std::uint64_t>();
  const auto about = in.number<std::uint8_t>();
  question.about = static_cast<Question::About>(about);
  switch (question.about) {
    case Question::About::everything: break;
    case Question::About::instance: question.instance = InstanceId(in.array<16>()); break;
    case Question::About::worker:
    case Question::About::announcer: question.id = in.number<std::uint64_t>(); break;
    case Question::About::certificates: question.key = in.array<32>(); break;
    default: in.fail();
  }
  return question;
}

static Chain read_chain(Reader& in) {
  Chain chain;
  const auto count = in.number<std::uint8_t>();
  if (count == 0) in.fail();
  for (int i = 0; i < count && !in.failed(); ++i) {
    chain.certificates.push_back(Bytes::copy(in.span(in.number<std::uint16_t>())));
  }
  return chain;
}

}  // namespace message_detail

std::uint64_t cluster_number(std::string_view name) {
  const std::string text = "velo cluster v1" + std::string(name);
  const NodeId digest = NodeId::of(as_bytes(text));
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof number; ++i) number = number << 8U | digest.bytes().at(i);
  return number;
}

std::vector<std::byte> encode(std::uint64_t cluster, const Message& message) {
  message_detail::Writer out;
  std::visit([&](const auto& one) { message_detail::write(out, cluster, one); }, message);
  return out.take();
}

std::size_t encoded_bytes(const Row& row) {
  std::size_t bytes = 1 + row.service.size() + row.id.bytes().size() + 1;
  for (const auto& [key, value] : row.entries) {
    if (key.size() > message_detail::name_bytes_max) return SIZE_MAX / 2;
    bytes += 1 + key.size() + 2 + value.size();
  }
  return row.entries.size() > message_detail::name_bytes_max ? SIZE_MAX / 2 : bytes;
}

std::size_t row_bytes_max() noexcept {
  return limits::datagram_bytes_max - message_detail::statement_bytes - sizeof(Signature);
}

std::vector<Part> parts_of(const Row& row) {
  message_detail::Writer out;
  message_detail::write_row(out, row);
  const Bytes whole = Bytes::own(out.take());
  // Without the number of rows.
  const std::size_t room = row_bytes_max() + 2 - message_detail::part_bytes - row.service.size();
  std::vector<Part> parts;
  for (std::size_t at = 0; at < whole.size(); at += room) {
    Part part{row.key(), message_detail::digest_of(whole.span()), 0, 0, {}};
    part.index = static_cast<std::uint8_t>(parts.size());
    part.count = static_cast<std::uint8_t>((whole.size() + room - 1) / room);
    part.bytes = Bytes::copy(whole.span().subspan(at, std::min(room, whole.size() - at)));
    parts.push_back(std::move(part));
  }
  return parts;
}

Result<Row> read_row(ByteSpan bytes) {
  message_detail::Reader in(bytes);
  Row row = message_detail::read_row(in);
  if (in.failed() || !in.at_end()) return make_error(Errc::malformed_entry, "not a row");
  return row;
}

Result<Row> row_of(const Part& any, ByteSpan bytes) {
  Result<Row> row = read_row(bytes);
  if (!row || row->key() != any.row || bytes.size() > limits::large_row_bytes_max ||
      message_detail::digest_of(bytes) != any.digest) {
    return make_error(Errc::malformed_entry, "parts that do not make up their row");
  }
  return row;
}

Result<Received> decode(ByteSpan datagram) {
  namespace detail = message_detail;
  if (datagram.size() > limits::datagram_bytes_max) {
    return make_error(Errc::malformed_entry, fmt::format("{} bytes", datagram.size()));
  }
  detail::Reader in(datagram);
  const auto magic = in.array<3>();
  if (in.failed() || magic != detail::magic) {
    return make_error(Errc::malformed_entry, "no datagram of velo's discovery");
  }
  const auto version = in.number<std::uint8_t>();
  if (version != detail::version) {
    return make_error(Errc::unknown_format, fmt::format("version {}", version));
  }
  const auto kind = static_cast<detail::Kind>(in.number<std::uint8_t>());
  const auto flags = in.number<std::uint8_t>();
  const bool statement = kind == detail::Kind::announcement || kind == detail::Kind::goodbye ||
                         kind == detail::Kind::part;
  const bool is_signed = flags == detail::signed_flag;
  if ((flags & ~detail::signed_flag) != 0 || (is_signed && !statement)) in.fail();
  Received received;
  received.cluster = in.number<std::uint64_t>();
  if (statement) {
    received.message = detail::read_statement(in, kind, is_signed);
    received.signed_part = datagram.first(in.at());
    if (is_signed) received.signature = in.span(sizeof(Signature));
  } else if (kind == detail::Kind::question) {
    received.message = detail::read_question(in);
  } else if (kind == detail::Kind::chain) {
    received.message = detail::read_chain(in);
  } else {
    in.fail();
  }
  if (in.failed() || !in.at_end()) {
    return make_error(Errc::malformed_entry, "cut short, too long or out of range");
  }
  return received;
}

bool may_own(const RawKey& key, const InstanceId& id) {
  constexpr std::size_t version_at = 6;
  constexpr std::size_t variant_at = 8;
  if (id.bytes()[version_at] >> 4U != 8) return true;
  std::string text = "velo instance v1";
  text.append(reinterpret_cast<const char*>(key.data()), key.size());
  const NodeId digest = NodeId::of(as_bytes(text));
  std::array<std::uint8_t, 16> bytes{};
  std::copy_n(digest.bytes().begin(), bytes.size(), bytes.begin());
  bytes[version_at] = static_cast<std::uint8_t>((bytes[version_at] & 0x0fU) | 0x80U);
  bytes[variant_at] = static_cast<std::uint8_t>((bytes[variant_at] & 0x3fU) | 0x80U);
  return InstanceId(bytes) == id;
}

}  // namespace velo::discovery::multicast
