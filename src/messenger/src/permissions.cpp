// SPDX-License-Identifier: Apache-2.0
// Who may call what, where requests arrive: decided from the connection and the handler's name,
// before anything of the request is decoded or queued. Who may not call a handler does not learn
// whether there is one.

#include "impl.hpp"

namespace velo::messenger {

std::optional<Error> Impl::refusal_of(const Link& link, std::string_view name,
                                      const Handler* handler) const {
  const ConnectionIdentity& caller = link.identity();
  bool denied = !guard_.access().allows(caller, name);
  if (handler != nullptr) {
    denied = denied || !handler->may_be_called_by(caller);
  } else {
    denied = denied || handlers_.hides_from(caller);
  }
  if (denied) return make_error(Errc::permission_denied, "\"" + std::string(name) + "\"");
  if (handler != nullptr) return std::nullopt;
  calls_->ledger().incidents.count(Incident::unknown_handler);
  return make_error(Errc::unknown_handler, "no handler \"" + std::string(name) + "\"");
}

std::vector<std::string> Impl::handlers_for(const ConnectionIdentity& caller) const {
  return handlers_.names_where([&](const Handler& handler) {
    return handler.may_be_called_by(caller) && guard_.access().allows(caller, handler.name());
  });
}

}  // namespace velo::messenger
