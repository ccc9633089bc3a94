// SPDX-License-Identifier: Apache-2.0
// What rounds and their figures promise; nothing here judges a duration.

#include <velo/bench/rounds.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace velo::rounds_test {

using bench::Measurement;
using bench::Medium;
using bench::Shape;
using bench::Side;
using bench::Spec;

static Spec brief(Medium medium, Shape shape) {
  Spec spec;
  spec.medium = medium;
  spec.shape = shape;
  spec.seconds = 0.02;
  spec.warm_up_seconds = 0.01;
  spec.outstanding = 8;
  spec.one_core = false;
  return spec;
}

static Result<void> ignore(int /*round*/, Side /*side*/, const Measurement& /*measurement*/) {
  return {};
}

TEST(BenchRounds, AFigureIsTheMedianOfRoundTripsOrTheRate) {
  Measurement measurement;
  measurement.samples_ns = {3'000, 1'000, 2'000};
  measurement.messages = 10;
  measurement.seconds = 2;
  EXPECT_DOUBLE_EQ(bench::figure(brief(Medium::tcp, Shape::rtt), measurement), 2.0);
  EXPECT_DOUBLE_EQ(bench::figure(brief(Medium::tcp, Shape::pipeline), measurement), 5.0);
  measurement.calls_per_sample = 100;
  EXPECT_DOUBLE_EQ(bench::percentile_ns(measurement, 0.5), 20.0);
  EXPECT_DOUBLE_EQ(bench::median({4, 1, 9}), 4.0);
}

TEST(BenchRounds, EveryShapeOverEveryMediumMeasuresBothSides) {
  for (const Medium medium : {Medium::tcp, Medium::uds, Medium::inproc}) {
    for (const Shape shape : {Shape::rtt, Shape::rtt_caller, Shape::pipeline, Shape::one_way}) {
      auto rounds = bench::run_rounds(brief(medium, shape), 1, ignore);
      ASSERT_TRUE(rounds) << rounds.error().to_string();
      EXPECT_GT(rounds->floor.at(0), 0);
      EXPECT_GT(rounds->ours.at(0), 0);
      EXPECT_DOUBLE_EQ(rounds->ratio.at(0), rounds->ours.at(0) / rounds->floor.at(0));
    }
  }
}

TEST(BenchRounds, BothEndsMayShareAProcess) {
  Spec spec = brief(Medium::uds, Shape::rtt);
  spec.two_processes = false;
  auto rounds = bench::run_rounds(spec, 1, ignore);
  ASSERT_TRUE(rounds) << rounds.error().to_string();
}

TEST(BenchRounds, ManyLargeMessagesInFlightDoNotStopEitherEnd) {
  Spec spec = brief(Medium::uds, Shape::pipeline);
  spec.payload_bytes = 256 << 10;
  spec.outstanding = 32;
  auto rounds = bench::run_rounds(spec, 1, ignore);
  ASSERT_TRUE(rounds) << rounds.error().to_string();
}

TEST(BenchRounds, TheFileOfSamplesHoldsWhatWasMeasured) {
  std::string folder = testing::TempDir() + "velo-rounds-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/samples.jsonl";
  Measurement measurement;
  measurement.samples_ns = {7, 9};
  measurement.messages = 2;
  measurement.seconds = 0.5;
  auto file = bench::SampleFile::create(path);
  ASSERT_TRUE(file);
  file->add("a_case", 3, Side::ours, measurement);
  ASSERT_TRUE(file->close());
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text, R"({"case":"a_case","round":3,"side":"ours","messages":2,"seconds":0.5,)"
                  R"("calls_per_sample":1,"samples_ns":[7,9]})"
                  "\n");
  EXPECT_FALSE(bench::SampleFile::create(folder + "/none/samples.jsonl"));
  std::remove(path.c_str());
  std::remove(folder.c_str());
}

}  // namespace velo::rounds_test
