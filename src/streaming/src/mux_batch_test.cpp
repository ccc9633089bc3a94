// SPDX-License-Identifier: Apache-2.0
// Batches: byte for byte, at their limits, and against bytes that are none.

#include "mux_batch.hpp"

#include <velo/codec/hex.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace velo::streaming::mux_batch_test {

static std::vector<Record> read_all(const Bytes& batch, BatchHeader* header = nullptr) {
  auto reader = BatchReader::open(batch);
  EXPECT_TRUE(reader) << reader.error().to_string();
  std::vector<Record> records;
  if (!reader) return records;
  if (header != nullptr) *header = reader->header();
  for (Record record; reader->next(record);) records.push_back(record);
  return records;
}

TEST(MuxBatch, EveryRecordIsReadAsItWasWritten) {
  Batcher batcher;
  batcher.restart(0x1122334455667788);
  batcher.open_slot(Slot(5, 7), 11, 12);
  batcher.data(Slot(5, 7), 3, as_bytes("abc"));
  batcher.credit_update(Slot(6, 1), 128);
  batcher.heartbeat(Slot(5, 7));
  batcher.close_slot(Slot(5, 7), CloseReason::peer_gone, 12);
  const auto batch = batcher.take();
  ASSERT_TRUE(batch);
  EXPECT_TRUE(batcher.empty());
  BatchHeader header;
  const auto records = read_all(*batch, &header);
  ASSERT_EQ(records.size(), 5u);
  EXPECT_EQ(header.epoch, 0x1122334455667788u);
  EXPECT_EQ(header.sequence, 0u);
  EXPECT_EQ(records[0].type, RecordType::open_slot);
  EXPECT_EQ(records[0].slot, Slot(5, 7));
  EXPECT_EQ(records[0].anchor, 11u);
  EXPECT_EQ(records[0].session, 12u);
  EXPECT_EQ(records[1].sequence, 3u);
  EXPECT_EQ(as_text(records[1].body), "abc");
  EXPECT_EQ(records[2].credit, 128u);
  EXPECT_EQ(records[3].type, RecordType::slot_heartbeat);
  EXPECT_EQ(records[4].reason, CloseReason::peer_gone);
  EXPECT_EQ(records[4].session, 12u);
}

TEST(MuxBatch, WhatIsHeardIsSaidFirstInEachBatch) {
  Batcher batcher;
  batcher.restart(1);
  for (const auto& heard : {HeardEpoch{7, true}, HeardEpoch{UINT64_MAX, false}}) {
    batcher.set_heard(heard);
    batcher.heartbeat(Slot(5, 7));
    for (const Bytes& batch : {*batcher.take(), batcher.take_empty()}) {
      const auto reader = BatchReader::open(batch);
      ASSERT_TRUE(reader);
      EXPECT_EQ(reader->header().hears, heard);
    }
  }
  EXPECT_TRUE(batcher.empty());
  batcher.set_heard(std::nullopt);
  EXPECT_EQ(BatchReader::open(batcher.take_empty())->header().hears, std::nullopt);
}

TEST(MuxBatch, WhatIsHeardStandsNowhereElse) {
  // A heartbeat, and then what may only come first.
  const auto late = codec::from_hex(
      "01000002000000000000000100000000"
      "04000000010000000000000000"
      "05000000000000000000000009010000000000000007");
  ASSERT_TRUE(late);
  EXPECT_FALSE(BatchReader::open(ByteSpan(*late)));
}

TEST(MuxBatch, TheBytesAreThoseOfTheProtocolsPage) {
  Batcher batcher;
  batcher.restart(1);
  batcher.data(Slot(2, 3), 4, as_bytes("hi"));
  EXPECT_EQ(codec::to_hex(batcher.take()->span()),
            "01000001000000000000000100000000"
            "0000000203000000040000000268"
            "69");
}

TEST(MuxBatch, ACloseWithoutASessionIsThePublicForm) {
  auto bytes = codec::from_hex(
      "0100000100000000000000010000000002000002030000000000000001"
      "01");
  ASSERT_TRUE(bytes);
  const Bytes batch = Bytes::copy(ByteSpan(*bytes));
  const auto records = read_all(batch);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].type, RecordType::close_slot);
  EXPECT_EQ(records[0].reason, CloseReason::peer_gone);
  EXPECT_EQ(records[0].session, 0u);
}

TEST(MuxBatch, BatchesAreClosedAtTheirSizeAndNumberedInOrder) {
  Batcher batcher(100);
  batcher.restart(9);
  const std::string frame(40, 'x');
  for (int i = 0; i < 5; ++i) batcher.data(Slot(1, 0), 0, as_bytes(frame));
  EXPECT_TRUE(batcher.has_full());
  std::vector<std::uint32_t> sequences;
  std::size_t records = 0;
  for (auto batch = batcher.take(); batch; batch = batcher.take()) {
    BatchHeader header;
    records += read_all(*batch, &header).size();
    EXPECT_LE(batch->size(), 116u);
    sequences.push_back(header.sequence);
  }
  EXPECT_EQ(records, 5u);
  EXPECT_EQ(sequences, (std::vector<std::uint32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(batcher.bytes(), 0u);
}

TEST(MuxBatch, ARecordLargerThanABatchGoesAlone) {
  Batcher batcher(100);
  batcher.restart(9);
  batcher.data(Slot(1, 0), 0, as_bytes("small"));
  batcher.data(Slot(1, 0), 1, as_bytes(std::string(70'000, 'x')));
  batcher.data(Slot(1, 0), 2, as_bytes("small"));
  EXPECT_EQ(read_all(*batcher.take()).size(), 1u);
  const auto large = batcher.take();
  const auto records = read_all(*large);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].body.size(), 70'000u);
  EXPECT_EQ(read_all(*batcher.take()).size(), 1u);
  EXPECT_FALSE(batcher.take());
}

TEST(MuxBatch, AnEmptyBatchIsASignOfLifeWithANumber) {
  Batcher batcher;
  batcher.restart(3);
  BatchHeader header;
  EXPECT_TRUE(read_all(batcher.take_empty(), &header).empty());
  EXPECT_EQ(header.sequence, 0u);
  batcher.heartbeat(Slot(1, 1));
  EXPECT_EQ(read_all(*batcher.take(), &header).size(), 1u);
  EXPECT_EQ(header.sequence, 1u);
}

TEST(MuxBatch, ARestartForgetsWhatWasNotTaken) {
  Batcher batcher(50);
  batcher.restart(3);
  for (int i = 0; i < 9; ++i) batcher.data(Slot(1, 0), 0, as_bytes("0123456789"));
  batcher.restart(4);
  EXPECT_TRUE(batcher.empty());
  EXPECT_FALSE(batcher.take());
  EXPECT_EQ(batcher.bytes(), 0u);
}

TEST(MuxBatch, EveryPrefixOfABatchAndEveryOneWithATailIsRefused) {
  Batcher batcher;
  batcher.restart(1);
  batcher.open_slot(Slot(5, 7), 11, 12);
  batcher.data(Slot(5, 7), 3, as_bytes("abc"));
  batcher.close_slot(Slot(5, 7), CloseReason::peer_gone, 12);
  const Bytes batch = *batcher.take();
  for (std::size_t size = 0; size < batch.size(); ++size) {
    EXPECT_FALSE(BatchReader::open(batch.span().first(size))) << size;
  }
  EXPECT_FALSE(BatchReader::open(Bytes::copy(batch.to_string() + "x")));
}

TEST(MuxBatch, RecordsWithAWrongBodyAreRefused) {
  const std::string header =
      "010000010000000000000001"
      "00000000";
  for (const char* record : {
           "05"
           "00000203"
           "00000000"
           "00000000",  // no such type
           "01"
           "00000203"
           "00000000"
           "00000004"
           "00000001",  // open without a session
           "02"
           "00000203"
           "00000000"
           "00000000",  // close without a reason
           "02"
           "00000203"
           "00000000"
           "00000001"
           "04",  // no such reason
           "03"
           "00000203"
           "00000000"
           "00000002"
           "0001",  // half a credit
           "04"
           "00000203"
           "00000000"
           "00000001"
           "00",  // a heartbeat with a body
       }) {
    auto bytes = codec::from_hex(header + record);
    ASSERT_TRUE(bytes);
    EXPECT_FALSE(BatchReader::open(ByteSpan(*bytes))) << record;
  }
  auto other = codec::from_hex(
      "020000000000000000000001"
      "00000000");
  EXPECT_FALSE(BatchReader::open(ByteSpan(*other)));
}

}  // namespace velo::streaming::mux_batch_test
