// SPDX-License-Identifier: Apache-2.0
// AccessPolicy: who may call which handlers. Ordered rules, of which the first that matches
// decides; without one, everybody may call the application's handlers, and velo's own beyond those
// that peers need (events, streams and large payloads among them) are for this host. A handler
// narrows it further by itself (Handler::Builder::only()). Core: values in, values out.
// docs/guides/security.md shows it in use.
// Threading: value types.
#pragma once

#include <velo/base/error.hpp>
#include <velo/base/ids.hpp>
#include <velo/crypto/node_id.hpp>
#include <velo/messenger/identity.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace velo {

/// One group of callers.
class Who {
 public:
  static Who anyone() { return Who(Anyone()); }
  /// Over loopback, a Unix socket, shared memory or within this process.
  static Who same_host() { return Who(SameHost()); }
  /// A local user, by the number that the system gives of the other process; Unix sockets and
  /// shared memory only.
  static Who user(std::uint32_t id) { return Who(User{id}); }
  /// Whoever showed a certificate that was verified.
  static Who authenticated() { return Who(Authenticated()); }
  /// The holder of this certificate key.
  static Who node(const NodeId& id) { return Who(id); }
  /// A verified certificate with such a common or alternative name, whatever the case of its ASCII
  /// letters. One `*`, first or last, stands for at least one character: "*.workers.example",
  /// "velo:role/*".
  static Who named(std::string pattern) { return Who(Named{std::move(pattern)}); }
  /// The instance, if it proved its id (MessengerBuilder::instance_key) over a connection with
  /// certificates or within this host.
  static Who instance(const InstanceId& id) { return Who(id); }

  bool includes(const ConnectionIdentity& caller) const noexcept;

  /// "anyone", "same-host", "user:1000", "authenticated", "node:<64 digits>", "name:<pattern>",
  /// "instance:<uuid>"; parse() takes just these, velo::Errc::invalid_argument otherwise.
  std::string to_string() const;
  static Result<Who> parse(std::string_view text);

  friend bool operator==(const Who&, const Who&) = default;

 private:
  struct Anyone {
    friend bool operator==(const Anyone&, const Anyone&) = default;
  };
  struct SameHost {
    friend bool operator==(const SameHost&, const SameHost&) = default;
  };
  struct Authenticated {
    friend bool operator==(const Authenticated&, const Authenticated&) = default;
  };
  struct User {
    std::uint32_t id;
    friend bool operator==(const User&, const User&) = default;
  };
  struct Named {
    std::string pattern;
    friend bool operator==(const Named&, const Named&) = default;
  };
  using What = std::variant<Anyone, SameHost, User, Authenticated, NodeId, Named, InstanceId>;
  struct Includes;
  struct Text;
  explicit Who(What what) : what_(std::move(what)) {}

  What what_;
};

struct AccessRule {
  bool allow = true;
  /// A handler's name, or the beginning of names followed by `*`. Names that start with `_` are
  /// meant only by what starts with `_` itself: "*" is every handler of the application.
  std::string handlers;
  std::vector<Who> who;  ///< any of them

  friend bool operator==(const AccessRule&, const AccessRule&) = default;
};

class AccessPolicy {
 public:
  AccessPolicy& allow(std::string handlers, std::vector<Who> who) {
    rules_.push_back({true, std::move(handlers), std::move(who)});
    return *this;
  }
  AccessPolicy& allow(std::string handlers, Who who) {
    return allow(std::move(handlers), std::vector<Who>{std::move(who)});
  }
  AccessPolicy& deny(std::string handlers, std::vector<Who> who) {
    rules_.push_back({false, std::move(handlers), std::move(who)});
    return *this;
  }
  AccessPolicy& deny(std::string handlers, Who who) {
    return deny(std::move(handlers), std::vector<Who>{std::move(who)});
  }

  /// Whether the caller may call what has this name, whether or not there is such a handler. The
  /// messenger itself always may, and everybody may greet and cancel.
  bool allows(const ConnectionIdentity& caller, std::string_view handler) const noexcept;

  bool empty() const noexcept { return rules_.empty(); }
  const std::vector<AccessRule>& rules() const noexcept { return rules_; }
  /// velo::Errc::invalid_argument for a rule that can never apply, or over
  /// messenger::limits::access_rules_max and access_callers_max.
  Result<void> check() const;

  /// {"rules": [{"allow": "orders/*", "who": ["authenticated"]}, {"deny": "*", "who": ["anyone"]}]}
  /// velo::Errc::invalid_argument, with the place, for any other form, unknown members included.
  static Result<AccessPolicy> from_json(std::string_view text);
  std::string to_json() const;

  friend bool operator==(const AccessPolicy&, const AccessPolicy&) = default;

 private:
  std::vector<AccessRule> rules_;
};

}  // namespace velo
