// SPDX-License-Identifier: Apache-2.0
// A process of traces_test and watch_test: `velo_trace_node FOLDER [NEXT]` serves "hop", which asks
// "hop" of the instance NEXT, or answers "end" where there is none, and "fail". It says its id and
// where its metrics are, asks NEXT as often as each line it reads says, and ends with its input.

#include <velo/base/check.hpp>
#include <velo/velo.hpp>

#include <iostream>
#include <optional>
#include <string>

namespace velo::trace_node {

static Task<Result<Bytes>> hop(Context context, std::optional<InstanceId> next) {
  Bytes end = Bytes::copy("end");
  if (!next) co_return end;
  auto call = context.msg().unary("hop").instance(*next).send();
  Result<Bytes> reply = co_await call;
  co_return reply;
}

static Result<void> serve(Velo& node, std::optional<InstanceId> next) {
  auto registered = node.register_handler(Handler::unary_handler_async("hop", [next](Context call) {
                                            return hop(std::move(call), next);
                                          }).build());
  if (!registered) return registered;
  return node.register_handler(Handler::unary_handler("fail", [](Context&) -> Result<Bytes> {
                                 return messenger::make_error(messenger::Errc::failed, "as asked");
                               }).build());
}

static int run(int count, char** words) {
  if (count < 2 || count > 3) return 2;
  std::optional<InstanceId> next;
  if (count == 3) {
    auto parsed = InstanceId::parse(words[2]);
    if (!parsed) return 2;
    next = *parsed;
  }
  auto node = Velo::builder()
                  .filesystem_discovery(words[1])
                  .export_traces_from_environment()
                  .serve_metrics()
                  .build();
  VELO_CHECK(node.has_value());
  VELO_CHECK(serve(**node, next).has_value());
  std::cout << (*node)->instance_id().to_string() << ' ' << (*node)->metrics_endpoint()->to_string()
            << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    for (int left = std::stoi(line); left > 0 && next; --left) {
      VELO_CHECK((*node)->unary("hop").instance(*next).send().get().has_value());
    }
  }
  return 0;
}

}  // namespace velo::trace_node

int main(int count, char** words) { return velo::trace_node::run(count, words); }
