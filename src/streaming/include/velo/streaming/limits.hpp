// SPDX-License-Identifier: Apache-2.0
// The streaming room's named limits, each with its policy (docs/limits.md is made from these
// comments).
// Threading: constants.
#pragma once

#include <velo/base/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace velo::streaming::limits {

/// Records of one batch, in bytes. Policy: a full batch is closed and the next one begun; a single
/// record that is larger goes alone.
constexpr std::size_t batch_bytes_max = std::size_t{60} << 10;
/// Records of one batch (the wire's count has 16 bits). Policy: as above.
constexpr std::size_t batch_records_max = 65'535;
/// One item as it is encoded. Policy: a larger one is refused as Errc::too_large.
constexpr std::size_t item_bytes_max = std::size_t{1} << 20;
/// Items of one stream that its consumer has not taken. Policy: send() waits, try_send() ends as
/// Errc::no_credit.
constexpr std::uint32_t stream_frames_default = 256;
/// The most that a consumer may ask for instead. Policy: clamped.
constexpr std::uint32_t stream_frames_max = 65'536;
/// The same in bytes. Policy: as above; a larger item goes alone.
constexpr std::size_t stream_bytes_max = std::size_t{1} << 20;
/// Bytes of all streams to one peer that their consumers have not taken. Policy: as above. Half of
/// it is shared: the streams that use it have equal parts of a third of that, each no more than its
/// consumer has taken before; the other half is kept for the reserve of each stream. So neither the
/// first one of a thousand nor those that stall take the others' room.
constexpr std::size_t peer_bytes_max = std::size_t{8} << 20;
/// What a stream may have on its way whatever the others do, as long as there are at most 1,024 of
/// them. Policy: more has to fit into what is shared.
constexpr std::size_t stream_bytes_reserved = 4'096;
/// Streams to one peer, and from one peer, at once. Policy: attaching ends as
/// Errc::too_many_streams.
constexpr std::size_t streams_per_peer_max = 65'536;
/// Slots that stay unused before one of them is used again, so that its generation comes round
/// late. Policy: a fresh one is taken while there are fewer.
constexpr std::size_t resting_slots_min = 1'024;
/// Anchors of one messenger. Policy: creating more ends as Errc::too_many_streams.
constexpr std::size_t anchors_max = 65'536;
/// Senders of a many-to-one anchor at once, unless it says otherwise. Policy: attaching ends as
/// Errc::max_senders_reached.
constexpr std::size_t senders_default = 1'024;
/// Time between signs of life of both sides of a stream, unless the anchor says otherwise. Policy:
/// whoever has been silent for so long sends an empty batch.
constexpr Duration heartbeat_default = std::chrono::seconds(5);
/// The least that an anchor may ask for. Policy: clamped.
constexpr Duration heartbeat_min = std::chrono::milliseconds(10);
/// Heartbeats without a word from the peer. Policy: then all streams with it end, as
/// Errc::transport_error and Errc::channel_closed.
constexpr int heartbeats_missed_max = 3;
/// Time that asking the anchor's owner for it may take. Policy: then attaching ends as the call
/// did.
constexpr Duration attach_timeout = std::chrono::seconds(20);
/// Time from the owner's answer to the stream's opening. Policy: then the anchor is free again.
constexpr Duration bind_patience = std::chrono::seconds(60);
/// How long credit that is not worth a message of its own waits for company. Policy: then it is
/// sent.
constexpr Duration credit_sweep = std::chrono::microseconds(200);
/// Batches that were handed to the messenger and not written yet, of one peer. Policy: further ones
/// wait, within the credit.
constexpr std::size_t batches_in_flight_max = 8;
/// Text of an ending or an error. Policy: cut off.
constexpr std::size_t text_bytes_max = 1'024;

}  // namespace velo::streaming::limits
