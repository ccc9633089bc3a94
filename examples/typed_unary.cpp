// SPDX-License-Identifier: Apache-2.0
// Request and response as plain structs: one macro describes them, velo carries them as
// MessagePack. A request that the handler cannot read is refused before the handler runs, with the
// member's name.

#include <velo/velo.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace typed_unary {

enum class Order { ascending, descending };
VELO_DESCRIBE_ENUM(Order, ascending, descending);

struct SortRequest {
  std::vector<int> numbers;
  Order order = Order::ascending;
  std::optional<std::size_t> limit;
};
VELO_DESCRIBE(SortRequest, numbers, order, limit);

struct SortResponse {
  std::vector<int> numbers;
  std::size_t dropped = 0;
};
VELO_DESCRIBE(SortResponse, numbers, dropped);

/// Not what the handler expects; to see how that is refused.
struct WrongRequest {
  std::string numbers;
};
VELO_DESCRIBE(WrongRequest, numbers);

static SortResponse sort(velo::TypedContext<SortRequest>& context) {
  SortResponse response;
  response.numbers = std::move(context.input.numbers);
  std::sort(response.numbers.begin(), response.numbers.end());
  if (context.input.order == Order::descending) {
    std::reverse(response.numbers.begin(), response.numbers.end());
  }
  const std::size_t limit = context.input.limit.value_or(response.numbers.size());
  if (limit < response.numbers.size()) {
    response.dropped = response.numbers.size() - limit;
    response.numbers.resize(limit);
  }
  return response;
}

static velo::Result<void> run() {
  auto server = velo::Velo::builder().build();
  if (!server) return server.error();
  auto registered = (*server)->register_handler(velo::Handler::typed_unary("sort", sort).build());
  if (!registered) return registered;

  auto client = velo::Velo::builder().build();
  if (!client) return client.error();
  auto known = (*client)->register_peer((*server)->peer_info());
  if (!known) return known;
  const velo::InstanceId peer = (*server)->instance_id();

  SortRequest request;
  request.numbers = {5, 1, 4, 2, 3};
  request.order = Order::descending;
  request.limit = 3;
  auto sorted =
      (*client)->typed_unary<SortResponse>("sort").payload(request).instance(peer).send().get();
  if (!sorted) return sorted.error();
  std::printf("%s\n", velo::to_json(*sorted).c_str());

  WrongRequest wrong;
  wrong.numbers = "many";
  auto refused =
      (*client)->typed_unary<SortResponse>("sort").payload(wrong).instance(peer).send().get();
  if (refused) return velo::make_error(velo::Errc::internal, "a wrong request was accepted");
  std::printf("refused: %s\n", refused.error().to_string().c_str());
  return {};
}

}  // namespace typed_unary

int main() {
  auto ended = typed_unary::run();
  if (!ended) std::fprintf(stderr, "typed_unary: %s\n", ended.error().to_string().c_str());
  return ended ? 0 : 1;
}
