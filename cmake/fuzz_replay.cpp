// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer in ordinary builds: feeds every file of the given corpora to the fuzz
// entry point, and then a number of mutations of them, the same ones in every run.
//   velo_fuzz_NAME [--mutations N] CORPUS...
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace velo::fuzz_replay_detail {

using Input = std::vector<std::uint8_t>;

/// What a mutation makes of a corpus file is at most this long: the long files are about lengths.
constexpr std::size_t mutated_bytes_max = 4096;

/// splitmix64.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t bound) {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return static_cast<std::size_t>((z ^ (z >> 31U)) % bound);
  }

 private:
  std::uint64_t state_;
};

static bool read(const std::filesystem::path& path, Input& into) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  into.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  return true;
}

static void run(const Input& input) {
  const std::uint8_t nothing = 0;
  LLVMFuzzerTestOneInput(input.empty() ? &nothing : input.data(), input.size());
}

/// One small change; a few of them turn a valid input into one that is nearly valid.
static void change(Input& input, const Input& other, Draws& draws) {
  constexpr std::uint8_t remarkable[] = {0x00, 0x01, 0x7f, 0x80, 0x81, 0xc0, 0xdc, 0xff, '"', '{'};
  const auto at = [&] {
    return input.begin() + static_cast<std::ptrdiff_t>(draws.below(input.size() + 1));
  };
  const std::size_t kind = input.empty() ? 5 : draws.below(7);
  if (kind <= 2) {
    std::uint8_t& byte = input[draws.below(input.size())];
    if (kind == 0) byte = static_cast<std::uint8_t>(byte ^ (1U << draws.below(8)));
    if (kind == 1) byte = static_cast<std::uint8_t>(byte + draws.below(9) - 4);
    if (kind == 2) byte = remarkable[draws.below(std::size(remarkable))];
  } else if (kind == 3) {
    input.erase(at(), input.end());
  } else if (kind == 4) {
    const auto from = at();
    const auto left = static_cast<std::size_t>(input.end() - from);
    input.erase(from, from + static_cast<std::ptrdiff_t>(std::min(left, draws.below(8))));
  } else if (kind == 5) {
    input.insert(at(), remarkable[draws.below(std::size(remarkable))]);
  } else if (!other.empty()) {
    // Its end in place of ours.
    const std::size_t from = draws.below(other.size());
    input.erase(at(), input.end());
    input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
  }
}

static void run_mutations(const std::vector<Input>& corpus, std::size_t count) {
  if (corpus.empty()) return;
  Draws draws(corpus.size());
  for (std::size_t i = 0; i < count; ++i) {
    Input input = corpus[draws.below(corpus.size())];
    const Input& other = corpus[draws.below(corpus.size())];
    for (std::size_t changes = 1 + draws.below(4); changes > 0; --changes) {
      change(input, other, draws);
    }
    if (input.size() > mutated_bytes_max) input.resize(mutated_bytes_max);
    run(input);
  }
}

/// False when something of it cannot be read.
static bool replay(const std::filesystem::path& folder, std::vector<Input>& corpus) {
  if (!std::filesystem::is_directory(folder)) {
    std::fprintf(stderr, "no corpus at %s\n", folder.c_str());
    return false;
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  // The order of a folder is the file system's; mutations are the same everywhere.
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    if (!read(path, corpus.emplace_back())) return false;
    run(corpus.back());
  }
  return true;
}

}  // namespace velo::fuzz_replay_detail

int main(int argc, char** argv) {
  using namespace velo::fuzz_replay_detail;  // NOLINT(google-build-using-namespace)
  std::size_t mutations = 0;
  std::vector<Input> corpus;
  run(Input());
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--mutations") == 0 && i + 1 < argc) {
      mutations = std::strtoul(argv[++i], nullptr, 10);
    } else if (!replay(argv[i], corpus)) {
      return 1;
    }
  }
  run_mutations(corpus, mutations);
  std::printf("%zu inputs replayed, %zu mutations of them\n", corpus.size(), mutations);
  return corpus.empty() ? 1 : 0;
}
