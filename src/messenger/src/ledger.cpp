// SPDX-License-Identifier: Apache-2.0
// Counting, adding up, and which error is which fate.

#include "ledger.hpp"

#include <algorithm>
#include <utility>

namespace velo {

std::string_view fate_name(Fate fate) noexcept {
  switch (fate) {
    case Fate::written: return "written";
    case Fate::acknowledged: return "acknowledged";
    case Fate::handled: return "handled";
    case Fate::rejected: return "rejected";
    case Fate::expired: return "expired";
    case Fate::cancelled: return "cancelled";
    case Fate::unknown: return "unknown";
  }
  return "?";
}

std::string_view stage_name(SendStage stage) noexcept {
  switch (stage) {
    case SendStage::queued: return "queued";
    case SendStage::written: return "written";
    case SendStage::acknowledged: return "acknowledged";
  }
  return "?";
}

namespace messenger {

namespace ledger_detail {

static std::uint64_t read(const std::atomic<std::uint64_t>& counter) noexcept {
  return counter.load(std::memory_order_relaxed);
}

static Fate of_handler_end(Pattern pattern) noexcept {
  if (pattern == Pattern::fire) return Fate::written;
  return pattern == Pattern::sync ? Fate::acknowledged : Fate::handled;
}

static bool is_empty(const PeerBooks& books) noexcept {
  std::uint64_t sum = books.closed;
  for (const PeerSends* sends : {&books.fire, &books.sync, &books.unary}) {
    sum += sends->accepted;
    for (const std::uint64_t count : sends->ends) sum += count;
  }
  for (const std::uint64_t count : books.requests) sum += count;
  return sum == 0;
}

}  // namespace ledger_detail

using ledger_detail::read;

Ledger::Ledger() : owners_(2) { chunks_[0].store(new Chunk, std::memory_order_release); }

Ledger::~Ledger() {
  for (auto& place : chunks_) {
    const std::unique_ptr<Chunk> chunk(place.load(std::memory_order_relaxed));
    if (chunk == nullptr) continue;
    for (AccountRows& account : *chunk) {
      for (auto& row : account.rows) delete row.load(std::memory_order_relaxed);
    }
  }
}

Account Ledger::open(const InstanceId& peer) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(peer);
  if (found != accounts_.end()) return found->second;
  if (accounts_.size() >= limits::book_accounts_max) return others;
  const auto account = static_cast<Account>(owners_.size());
  auto& place = chunks_[account / chunk_accounts];
  if (place.load(std::memory_order_relaxed) == nullptr) {
    place.store(new Chunk, std::memory_order_release);
  }
  owners_.push_back(peer);
  accounts_.emplace(peer, account);
  return account;
}

Ledger::Row& Ledger::add_row(std::atomic<Row*>& place) noexcept {
  auto fresh = std::make_unique<Row>();
  Row* current = nullptr;
  if (place.compare_exchange_strong(current, fresh.get(), std::memory_order_acq_rel)) {
    return *fresh.release();
  }
  return *current;
}

void Ledger::rejected(Account account, Pattern pattern, ErrorCode why) noexcept {
  const bool own = why.room == Room::messenger && why.value < reason_count;
  reasons_[own ? why.value : 0].fetch_add(1, std::memory_order_relaxed);
  ended(account, pattern, Fate::rejected);
}

PeerBooks Ledger::sum(Account account) const noexcept {
  PeerBooks books;
  PeerSends* const sends[pattern_count] = {&books.fire, &books.sync, &books.unary};
  const AccountRows& rows = (*chunks_[account / chunk_accounts].load(
      std::memory_order_acquire))[account % chunk_accounts];
  for (const auto& place : rows.rows) {
    const Row* row = place.load(std::memory_order_acquire);
    if (row == nullptr) continue;
    for (std::size_t p = 0; p < pattern_count; ++p) {
      // Ends before what they are ends of: a sum taken meanwhile rather lacks an end.
      for (std::size_t f = 0; f < fate_count; ++f) sends[p]->ends[f] += read(row->ends[p][f]);
      sends[p]->accepted += read(row->accepted[p]);
      books.requests[p] += read(row->requests[p]);
    }
    books.succeeded += read(row->request_ends[0]);
    books.failed += read(row->request_ends[1]);
    books.rejected += read(row->request_ends[2]);
    books.abandoned += read(row->request_ends[3]);
    books.closed += read(row->closed);
    books.may_be_lost += read(row->may_be_lost);
  }
  return books;
}

std::vector<PeerBooks> Ledger::peers(std::vector<Account>* accounts) const {
  std::vector<InstanceId> owners;
  {
    const std::lock_guard lock(mutex_);
    owners = owners_;
  }
  std::vector<PeerBooks> all;
  for (std::size_t account = others; account < owners.size(); ++account) {
    PeerBooks books = sum(static_cast<Account>(account));
    if (ledger_detail::is_empty(books)) continue;
    books.peer = owners[account];
    all.push_back(books);
    if (accounts != nullptr) accounts->push_back(static_cast<Account>(account));
  }
  return all;
}

Books Ledger::totals() const {
  std::size_t account_count = 0;
  {
    const std::lock_guard lock(mutex_);
    account_count = owners_.size();
  }
  Books books;
  PatternBooks* const patterns[pattern_count] = {&books.fire, &books.sync, &books.unary};
  for (std::size_t account = 0; account < account_count; ++account) {
    const PeerBooks peer = sum(static_cast<Account>(account));
    const PeerSends* const sends[pattern_count] = {&peer.fire, &peer.sync, &peer.unary};
    for (std::size_t p = 0; p < pattern_count; ++p) {
      for (std::size_t f = 0; f < fate_count; ++f) patterns[p]->ends[f] += sends[p]->ends[f];
      books.stages.accepted += sends[p]->accepted;
      books.received.requests += peer.requests[p];
    }
    books.received.succeeded += peer.succeeded;
    books.received.failed += peer.failed;
    books.received.rejected += peer.rejected;
    books.received.abandoned += peer.abandoned;
  }
  for (const Began& stripe : began_) {
    for (std::size_t p = 0; p < pattern_count; ++p) patterns[p]->sent += read(stripe.sent[p]);
  }
  for (std::size_t i = 0; i < reason_count; ++i) {
    const std::uint64_t count = read(reasons_[i]);
    if (count == 0) continue;
    const auto code = static_cast<std::uint16_t>(i);
    books.rejected_by[i == 0 ? "other" : error_code_name({Room::messenger, code})] = count;
  }
  books.received.malformed = read(malformed_);
  books.stages.waited_for_slot = read(waited_slot_);
  books.stages.waited_for_connection = read(waited_connection_);
  return books;
}

Fate fate_of(Pattern pattern, const std::optional<Error>& error) noexcept {
  if (!error) return ledger_detail::of_handler_end(pattern);
  if (error->is(velo::Errc::cancelled) || error->is(Errc::cancelled)) return Fate::cancelled;
  if (error->is(velo::Errc::deadline_exceeded) || error->is(Errc::deadline_exceeded)) {
    return Fate::expired;
  }
  if (error->code().room != Room::messenger) return ledger_detail::of_handler_end(pattern);
  switch (static_cast<Errc>(error->code().value)) {
    case Errc::connection_lost: return Fate::unknown;
    case Errc::failed:
    case Errc::bad_request:
    case Errc::handler_threw:
    case Errc::bad_reply: return ledger_detail::of_handler_end(pattern);
    default: return Fate::rejected;
  }
}

}  // namespace messenger
}  // namespace velo
