// SPDX-License-Identifier: Apache-2.0
// Common names and alternative names.

#include "certificate_names.hpp"

#include <arpa/inet.h>
#include <velo/crypto/limits.hpp>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

namespace velo::crypto {
namespace certificate_names_detail {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;
using NamePtr = std::unique_ptr<GENERAL_NAME, Deleter<GENERAL_NAME_free>>;

static bool is_printable(char c) noexcept { return c > ' ' && c <= '~'; }

static bool is_host_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '*';
}

static std::string_view text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

static std::optional<std::string> address_text(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  if (::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size()) ==
      nullptr) {
    return std::nullopt;
  }
  return std::string(text.data());
}

static std::string address_bytes(const std::string& text) {
  std::array<char, 16> bytes{};
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return {bytes.data(), 4};
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return {bytes.data(), 16};
  return {};
}

static Error bad_name() {
  return make_error(Errc::malformed, "a name in a certificate is too long or not printable");
}

/// A scheme, a colon, and something; RFC 3986's characters of a scheme.
static bool is_uri(std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon + 1 == name.size()) return false;
  const std::string_view scheme = name.substr(0, colon);
  return std::ranges::all_of(
      scheme, [](char c) { return c == '+' || (is_host_character(c) && c != '_' && c != '*'); });
}

struct Form {
  int type;
  std::string contents;
};

static std::optional<Form> form_of(const std::string& name) {
  if (name.empty() || name.size() > limits::name_bytes_max ||
      !std::ranges::all_of(name, is_printable)) {
    return std::nullopt;
  }
  if (std::string bytes = address_bytes(name); !bytes.empty()) return Form{GEN_IPADD, bytes};
  if (name.size() <= 253 && std::ranges::all_of(name, is_host_character)) {
    return Form{GEN_DNS, name};
  }
  if (is_uri(name)) return Form{GEN_URI, name};
  return std::nullopt;
}

static NamePtr general_name(const Form& form) {
  NamePtr name(GENERAL_NAME_new());
  ASN1_STRING* const value =
      form.type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
  if (name == nullptr || value == nullptr ||
      ASN1_STRING_set(value, form.contents.data(), static_cast<int>(form.contents.size())) != 1) {
    ASN1_STRING_free(value);
    return nullptr;
  }
  GENERAL_NAME_set0_value(name.get(), form.type, value);
  return name;
}

struct Sorted {
  std::vector<std::string> hosts;
  std::vector<std::string> addresses;
  std::vector<std::string> uris;
};

static bool sort_in(const GENERAL_NAME* name, Sorted& sorted) {
  int type = 0;
  const auto* const value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &type));
  if (type != GEN_DNS && type != GEN_IPADD && type != GEN_URI) return true;
  const std::string_view text = text_of(value);
  if (type == GEN_IPADD) {
    auto address = address_text(text);
    if (!address.has_value()) return false;
    sorted.addresses.push_back(std::move(*address));
    return true;
  }
  if (text.size() > limits::name_bytes_max || !std::ranges::all_of(text, is_printable))
    return false;
  (type == GEN_DNS ? sorted.hosts : sorted.uris).emplace_back(text);
  return true;
}

}  // namespace certificate_names_detail

Result<std::string> common_name_of(const X509_NAME* name) {
  int last = -1;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;) last = at;
  if (last < 0) return std::string();
  const ASN1_STRING* const value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last));
  unsigned char* memory = nullptr;
  const int size = ASN1_STRING_to_UTF8(&memory, value);
  const MemoryPtr owner(memory);
  if (size < 0) return failure(Errc::malformed, "a common name");
  const std::string_view text(reinterpret_cast<const char*>(memory),
                              static_cast<std::size_t>(size));
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; };
  if (text.size() > limits::name_bytes_max || std::ranges::any_of(text, is_control)) {
    return certificate_names_detail::bad_name();
  }
  return std::string(text);
}

Result<std::vector<std::string>> alternative_names_of(X509* certificate) {
  int critical = 0;
  const certificate_names_detail::NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr) {
    constexpr int missing = -1;
    if (critical == missing) return std::vector<std::string>();
    return failure(Errc::malformed, "a certificate's names");
  }
  const int count = sk_GENERAL_NAME_num(names.get());
  if (count < 0 || static_cast<std::size_t>(count) > limits::names_max) {
    return make_error(Errc::malformed, "a certificate has too many names");
  }
  certificate_names_detail::Sorted sorted;
  for (int i = 0; i < count; ++i) {
    if (!certificate_names_detail::sort_in(sk_GENERAL_NAME_value(names.get(), i), sorted)) {
      return certificate_names_detail::bad_name();
    }
  }
  std::vector<std::string> all = std::move(sorted.hosts);
  std::ranges::move(sorted.addresses, std::back_inserter(all));
  std::ranges::move(sorted.uris, std::back_inserter(all));
  return all;
}

Result<void> add_alternative_names(X509* certificate, const std::vector<std::string>& names) {
  if (names.size() > limits::names_max) {
    return make_error(velo::Errc::invalid_argument, "too many names for a certificate");
  }
  if (names.empty()) return {};
  const certificate_names_detail::NamesPtr all(sk_GENERAL_NAME_new_null());
  if (all == nullptr) return internal_failure("names");
  for (const std::string& name : names) {
    const auto form = certificate_names_detail::form_of(name);
    if (!form.has_value()) {
      return make_error(velo::Errc::invalid_argument,
                        "'" + name.substr(0, 80) + "' is no host name, address or URI");
    }
    certificate_names_detail::NamePtr entry = certificate_names_detail::general_name(*form);
    if (entry == nullptr || sk_GENERAL_NAME_push(all.get(), entry.get()) <= 0) {
      return internal_failure("names");
    }
    static_cast<void>(entry.release());
  }
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) != 1) {
    return internal_failure("names");
  }
  return {};
}

}  // namespace velo::crypto
