// SPDX-License-Identifier: Apache-2.0
// `velo why`: why an event has not happened, as the machines tell that own it, await it, or own
// what it waits for.

#include "client.hpp"
#include "commands.hpp"

#include <velo/velo.hpp>

#include <fmt/format.h>

#include <string>
#include <vector>

namespace velo::cli {

namespace why_command_detail {

/// As printed in JSON: ids as text.
struct ReportRecord {
  std::string event;
  std::string told_by;
  std::string status;
  std::string reason;
  std::string kind;
  std::string note;
  std::uint64_t awaiters = 0;
  std::uint64_t subscriber_count = 0;
  std::vector<std::string> subscribers;
  std::uint64_t waits_for_count = 0;
  std::vector<std::string> waits_for;
  std::vector<std::string> needed_by;
};
VELO_DESCRIBE(ReportRecord, event, told_by, status, reason, kind, note, awaiters, subscriber_count,
              subscribers, waits_for_count, waits_for, needed_by);

struct WhyRecord {
  std::vector<ReportRecord> events;
  std::vector<ReportRecord> awaited_by;
  std::vector<std::vector<std::string>> cycles;
  bool cut_off = false;
};
VELO_DESCRIBE(WhyRecord, events, awaited_by, cycles, cut_off);

/// Worker ids by the instance that they belong to, as far as it is announced.
class Names {
 public:
  explicit Names(const std::vector<PeerInfo>& peers) {
    for (const PeerInfo& peer : peers) {
      names_.emplace_back(peer.worker_id(), peer.instance_id.to_string());
    }
  }
  std::string of(WorkerId id) const {
    for (const auto& [worker, name] : names_) {
      if (worker == id) return name;
    }
    return "worker " + id.to_string();
  }

 private:
  std::vector<std::pair<WorkerId, std::string>> names_;
};

static std::vector<std::string> texts(const std::vector<EventHandle>& events) {
  std::vector<std::string> all;
  for (const EventHandle& event : events) all.push_back(event.to_string());
  return all;
}

static ReportRecord record_of(const EventReport& report, const Names& names) {
  ReportRecord record;
  record.event = report.event.to_string();
  record.told_by = names.of(report.told_by);
  record.status = report.status;
  record.reason = report.reason;
  record.kind = report.kind;
  record.note = report.note;
  record.awaiters = report.awaiters;
  record.subscriber_count = report.subscriber_count;
  for (const WorkerId who : report.subscribers) record.subscribers.push_back(names.of(who));
  record.waits_for_count = report.waits_for_count;
  record.waits_for = texts(report.waits_for);
  record.needed_by = texts(report.needed_by);
  return record;
}

static WhyRecord record_of(const EventWhy& why, const Names& names) {
  WhyRecord record;
  for (const EventReport& each : why.events) record.events.push_back(record_of(each, names));
  for (const EventReport& each : why.awaited_by) {
    record.awaited_by.push_back(record_of(each, names));
  }
  for (const auto& cycle : why.cycles) record.cycles.push_back(texts(cycle));
  record.cut_off = why.cut_off;
  return record;
}

static std::string joined(const std::vector<std::string>& all) {
  return fmt::format("{}", fmt::join(all, ", "));
}

static void show(const WhyRecord& why) {
  std::vector<std::vector<std::string>> rows;
  for (const ReportRecord& each : why.events) {
    std::string what = each.status;
    if (!each.kind.empty() && each.kind != "event") what += " (" + each.kind + ")";
    if (!each.reason.empty()) what += ": " + each.reason;
    rows.push_back({each.event, each.told_by, plain(what), std::to_string(each.awaiters),
                    std::to_string(each.subscriber_count), joined(each.waits_for),
                    plain(each.note)});
  }
  print_line(
      table({"EVENT", "OWNER", "STATUS", "AWAITERS", "MACHINES", "WAITS FOR", "NOTE"}, rows));
  for (const ReportRecord& each : why.awaited_by) {
    print_line(fmt::format("awaited by {}: {} times{}{}", each.told_by, each.awaiters,
                           each.needed_by.empty() ? "" : ", for ", joined(each.needed_by)));
  }
  for (const auto& cycle : why.cycles) {
    print_line(fmt::format("circle: {}, {}", joined(cycle), cycle.front()));
  }
  if (why.cut_off) print_line("there is more: the graph was not followed to its end");
}

}  // namespace why_command_detail

int run_why(const Globals& globals, const WhyOptions& options) {
  const auto event = EventHandle::parse(options.event);
  if (!event) return fail("no event", event.error());
  Client client(options.where, globals.node);
  if (const int code = client.join(); code != exit_ok) return code;
  const auto peers = client.announced();
  if (!peers) return fail("the peers cannot be listed", peers.error());
  // Handles name workers: whoever is announced may be one of them.
  for (const PeerInfo& peer : *peers) (void)client.node().register_peer(peer);
  const auto why = client.node().event_manager().why(*event).get();
  if (!why) return fail("nobody tells", why.error());
  const auto record = why_command_detail::record_of(*why, why_command_detail::Names(*peers));
  if (globals.output == OutputFormat::json) {
    print_line(to_json(record));
  } else {
    why_command_detail::show(record);
  }
  return exit_ok;
}

}  // namespace velo::cli
