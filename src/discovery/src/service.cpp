// SPDX-License-Identifier: Apache-2.0
// What is a service's name, what is an instance of it, and the registration of a function.

#include <velo/discovery/limits.hpp>
#include <velo/discovery/services.hpp>

#include <fmt/format.h>

#include <utility>

namespace velo::discovery {
namespace service_detail {

class Ending final : public Registration {
 public:
  explicit Ending(std::move_only_function<void()> end) : end_(std::move(end)) {}
  Ending(const Ending&) = delete;
  Ending& operator=(const Ending&) = delete;
  ~Ending() override { end_(); }

 private:
  std::move_only_function<void()> end_;
};

}  // namespace service_detail

std::unique_ptr<Registration> make_registration(std::move_only_function<void()> end) {
  return std::make_unique<service_detail::Ending>(std::move(end));
}

bool valid_service_name(std::string_view name) noexcept {
  if (name.empty() || name.size() > limits::service_name_bytes_max || name.front() == '.') {
    return false;
  }
  return name.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
         std::string_view::npos;
}

Result<void> check_service(const ServiceInstance& instance) {
  if (!valid_service_name(instance.service)) {
    return velo::make_error(velo::Errc::invalid_argument,
                            "not a service's name: " + instance.service.substr(0, 160));
  }
  if (!instance.instance_id.valid()) {
    return velo::make_error(velo::Errc::invalid_argument, "a service without an instance id");
  }
  std::size_t bytes = 0;
  for (const auto& [key, value] : instance.metadata) bytes += key.size() + value.size();
  if (bytes > limits::service_metadata_bytes_max) {
    return velo::make_error(velo::Errc::invalid_argument,
                            fmt::format("metadata of {} bytes; at most {} are allowed", bytes,
                                        limits::service_metadata_bytes_max));
  }
  return {};
}

}  // namespace velo::discovery
