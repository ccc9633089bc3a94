// SPDX-License-Identifier: Apache-2.0
// Starting, commanding and ending the Python process.

#include "peer_process.hpp"

#include <velo/base/check.hpp>
#include <velo/codec/peer_info.hpp>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <utility>

extern char** environ;

namespace velo::interop {
namespace peer_process_detail {

static std::string path_of(const std::string& script) {
  const char* const tree = std::getenv("VELO_SOURCE_DIR");
  const std::string here(__FILE__);
  const std::string folder =
      tree != nullptr ? std::string(tree) + "/tests/interop" : here.substr(0, here.rfind('/'));
  return folder + '/' + script;
}

}  // namespace peer_process_detail

PeerProcess::PeerProcess(const std::string& script, const std::vector<std::string>& options,
                         const std::string& python) {
  int input[2];
  int output[2];
  VELO_CHECK(pipe(input) == 0 && pipe(output) == 0);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  for (const int descriptor : {input[0], input[1], output[0], output[1]}) {
    posix_spawn_file_actions_addclose(&actions, descriptor);
  }
  std::vector<std::string> words = {python, peer_process_detail::path_of(script)};
  words.insert(words.end(), options.begin(), options.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  VELO_CHECK(posix_spawnp(&child_, python.c_str(), &actions, nullptr, arguments.data(), environ) ==
             0);
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  close(output[1]);
  to_ = fdopen(input[1], "w");
  from_ = fdopen(output[0], "r");

  const auto greeting = codec::JsonValue::parse(read_line());
  VELO_CHECK(greeting.has_value());
  missing_ = text_of(*greeting, "skip");
  if (!missing_.empty()) return;
  VELO_CHECK(greeting->find("peer_info") != nullptr);
  auto info = codec::from_json<PeerInfo>(greeting->find("peer_info")->dump());
  VELO_CHECK(info.has_value());
  peer_info_ = std::move(*info);
}

PeerProcess::~PeerProcess() {
  std::fclose(to_);
  std::fclose(from_);
  int status = 0;
  waitpid(child_, &status, 0);
}

std::string PeerProcess::read_line() {
  std::string line;
  for (int c = 0; (c = std::fgetc(from_)) != EOF && c != '\n';) line += static_cast<char>(c);
  return line;
}

void PeerProcess::start(codec::JsonValue command) {
  const std::string line = command.dump() + '\n';
  std::fwrite(line.data(), 1, line.size(), to_);
  std::fflush(to_);
}

codec::JsonValue PeerProcess::answer() {
  const auto line = codec::JsonValue::parse(read_line());
  if (!line || line->find("result") == nullptr) return codec::JsonValue();
  return *line->find("result");
}

codec::JsonValue PeerProcess::run(codec::JsonValue command) {
  start(std::move(command));
  return answer();
}

codec::JsonValue PeerProcess::call(const PeerInfo& target, std::string_view handler,
                                   std::string_view kind, std::string_view more) {
  auto call = codec::JsonValue::parse(more);
  VELO_CHECK(call.has_value());
  call->set("peer_info", *codec::JsonValue::parse(codec::to_json(target)));
  call->set("handler", codec::JsonValue(handler));
  call->set("kind", codec::JsonValue(kind));
  codec::JsonValue command;
  command.set("call", std::move(*call));
  return run(std::move(command));
}

std::uint64_t PeerProcess::count(std::string_view what) {
  const codec::JsonValue stats = run(*codec::JsonValue::parse(R"({"stats":{}})"));
  const codec::JsonValue* const counts = stats.find("counts");
  const codec::JsonValue* const count = counts == nullptr ? nullptr : counts->find(what);
  return count == nullptr ? 0 : static_cast<std::uint64_t>(count->to_int64().value_or(0));
}

std::string text_of(const codec::JsonValue& object, std::string_view name) {
  const codec::JsonValue* const value = object.find(name);
  return value != nullptr && value->if_string() != nullptr ? *value->if_string() : std::string();
}

bool is_true(const codec::JsonValue& object, std::string_view name) {
  const codec::JsonValue* const value = object.find(name);
  return value != nullptr && value->if_boolean() != nullptr && *value->if_boolean();
}

}  // namespace velo::interop
