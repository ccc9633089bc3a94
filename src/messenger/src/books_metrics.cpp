// SPDX-License-Identifier: Apache-2.0
// Which number of the books is which series.

#include "books_metrics.hpp"

#include <velo/messenger/error.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace velo::messenger {
namespace books_metrics_detail {

using Pick = PatternBooks Books::*;
constexpr std::array<std::pair<const char*, Pick>, 3> patterns = {
    {{"fire", &Books::fire}, {"sync", &Books::sync}, {"unary", &Books::unary}}};

/// Why a send can end as rejected; all other codes are "other".
constexpr std::array reasons = {
    Errc::unknown_handler,   Errc::overloaded,     Errc::shutting_down,
    Errc::wrong_kind,        Errc::too_large,      Errc::over_budget,
    Errc::permission_denied, Errc::malformed,      Errc::not_authenticated,
    Errc::not_sent,          Errc::unknown_peer,   Errc::no_route,
    Errc::needs_listener,    Errc::too_many_calls, Errc::no_target,
    Errc::headers_too_large, Errc::reserved_name,  Errc::duplicate_handler,
};

static std::string name_of(Errc reason) { return error_code_name(error_code(reason)); }

static bool is_listed(const std::string& code) {
  return std::any_of(reasons.begin(), reasons.end(),
                     [&](Errc reason) { return name_of(reason) == code; });
}

static std::uint64_t other_rejections(const Books& books) {
  std::uint64_t sum = 0;
  for (const auto& [code, count] : books.rejected_by) sum += is_listed(code) ? 0 : count;
  return sum;
}

}  // namespace books_metrics_detail

BooksMetrics::BooksMetrics(const InstanceId& node, std::function<Books()> read)
    : state_(node, std::move(read)) {
  add_sends();
  add_rejections();
  add_requests();
  add_paths();
}

void BooksMetrics::add_sends() {
  for (const auto& [pattern, pick] : books_metrics_detail::patterns) {
    state_.add(metrics::Kind::counter, "velo_sends_total", "Sends that began.",
               {{"pattern", pattern}}, [pick](const Books& books) { return (books.*pick).sent; });
    state_.add(metrics::Kind::gauge, "velo_sends_in_flight", "Sends that have not ended.",
               {{"pattern", pattern}},
               [pick](const Books& books) { return (books.*pick).in_flight; });
    for (std::size_t i = 0; i < fate_count; ++i) {
      const auto fate = static_cast<Fate>(i);
      state_.add(metrics::Kind::counter, "velo_send_ends_total", "Sends that ended, by how.",
                 {{"pattern", pattern}, {"fate", std::string(fate_name(fate))}},
                 [pick, fate](const Books& books) { return (books.*pick)[fate]; });
    }
  }
  state_.add(metrics::Kind::counter, "velo_sends_accepted_total", "Sends that a connection took.",
             {}, [](const Books& books) { return books.stages.accepted; });
  state_.add(metrics::Kind::counter, "velo_sends_waited_total",
             "Sends that had to wait first, for what.", {{"what", "slot"}},
             [](const Books& books) { return books.stages.waited_for_slot; });
  state_.add(metrics::Kind::counter, "velo_sends_waited_total",
             "Sends that had to wait first, for what.", {{"what", "connection"}},
             [](const Books& books) { return books.stages.waited_for_connection; });
}

void BooksMetrics::add_rejections() {
  constexpr const char* name = "velo_send_rejections_total";
  constexpr const char* help = "Sends that ended as rejected, by error code.";
  for (const Errc reason : books_metrics_detail::reasons) {
    std::string code = books_metrics_detail::name_of(reason);
    state_.add(metrics::Kind::counter, name, help, {{"reason", code}}, [code](const Books& books) {
      const auto found = books.rejected_by.find(code);
      return found == books.rejected_by.end() ? 0 : found->second;
    });
  }
  state_.add(metrics::Kind::counter, name, help, {{"reason", "other"}},
             &books_metrics_detail::other_rejections);
}

void BooksMetrics::add_requests() {
  state_.add(metrics::Kind::counter, "velo_requests_total", "Requests received.", {},
             [](const Books& books) { return books.received.requests; });
  state_.add(metrics::Kind::gauge, "velo_requests_running", "Requests that are not over.", {},
             [](const Books& books) { return books.received.running; });
  const std::pair<const char*, std::uint64_t ReceivedBooks::*> ends[] = {
      {"succeeded", &ReceivedBooks::succeeded},
      {"failed", &ReceivedBooks::failed},
      {"rejected", &ReceivedBooks::rejected},
      {"abandoned", &ReceivedBooks::abandoned}};
  for (const auto& [end, pick] : ends) {
    state_.add(metrics::Kind::counter, "velo_request_ends_total", "Requests that are over, by how.",
               {{"end", end}}, [pick](const Books& books) { return books.received.*pick; });
  }
  state_.add(metrics::Kind::counter, "velo_malformed_frames_total",
             "Frames received that are no message.", {},
             [](const Books& books) { return books.received.malformed; });
}

void BooksMetrics::add_paths() {
  struct Counter {
    const char* name;
    const char* help;
    std::uint64_t PathBooks::* pick;
  };
  constexpr Counter counters[] = {
      {"velo_path_probes_total", "Connections that were made to look at a better path.",
       &PathBooks::probes},
      {"velo_path_upgrades_total", "Moves from one live connection to another.",
       &PathBooks::upgrades},
      {"velo_path_failovers_total", "Connections that died and were replaced.",
       &PathBooks::failovers},
      {"velo_path_resumed_total", "Sends of dead connections that were sent again by another.",
       &PathBooks::resumed},
      {"velo_path_deduplicated_total", "Sends of dead connections that had arrived.",
       &PathBooks::deduplicated},
      {"velo_path_lost_total", "Sends of dead connections of which nobody can say what became.",
       &PathBooks::lost},
  };
  for (const Counter& each : counters) {
    state_.add(metrics::Kind::counter, each.name, each.help, {},
               [pick = each.pick](const Books& books) { return books.paths.*pick; });
  }
}

}  // namespace velo::messenger
