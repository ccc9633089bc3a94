// SPDX-License-Identifier: Apache-2.0
// Test support: a peer that speaks the wire by hand, on a simulated byte stream. It can say what no
// messenger would say. Not part of the library.
// Threading: the simulation's thread.
#pragma once

#include "cluster.hpp"

#include "hello.hpp"
#include "protocol.hpp"

#include <velo/transport/framing.hpp>
#include <velo/transport/interfaces.hpp>

#include <sys/uio.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace velo::messenger::testing {

struct RawFrame {
  transport::FrameType type = transport::FrameType::message;
  Bytes header;
  Bytes payload;

  protocol::RequestHeader request() const {
    auto decoded = protocol::decode_request(header);
    EXPECT_TRUE(decoded) << decoded.error().to_string();
    return decoded ? *decoded : protocol::RequestHeader();
  }
  protocol::ResponseHeader response() const {
    auto decoded = protocol::decode_response(header);
    EXPECT_TRUE(decoded) << decoded.error().to_string();
    return decoded ? *decoded : protocol::ResponseHeader();
  }
};

inline Bytes request_header(protocol::RequestHeader header) {
  std::vector<std::byte> bytes(protocol::encoded_size(header));
  protocol::encode_request(header, bytes);
  return Bytes::copy(bytes);
}
inline Bytes request_header(protocol::ResponseType type, MessageId id, std::string_view name) {
  protocol::RequestHeader header;
  header.response_type = type;
  header.id = id;
  header.name = name;
  return request_header(header);
}
inline Bytes response_header(MessageId id, std::uint8_t outcome = 0) {
  protocol::ResponseHeader header;
  header.id = id;
  header.outcome = outcome;
  std::array<std::byte, protocol::response_fixed_bytes> bytes;
  protocol::encode_response(header, bytes);
  return Bytes::copy(bytes);
}
inline Bytes ack_header(MessageId id, bool is_error) {
  protocol::AckHeader header;
  header.id = id;
  header.is_error = is_error;
  std::array<std::byte, protocol::ack_bytes> bytes;
  protocol::encode_ack(header, bytes);
  return Bytes::copy(bytes);
}

/// One end of a byte stream that takes frames apart and puts them together.
class RawEnd final : private StreamEvents {
 public:
  explicit RawEnd(std::unique_ptr<ByteStream> stream) : stream_(std::move(stream)) {
    stream_->attach(*this);
  }

  void send_bytes(std::string_view bytes) {
    unsent_ += bytes;
    flush();
  }
  void send(transport::FrameType type, ByteSpan header, ByteSpan payload = ByteSpan()) {
    const transport::OutFrame frame(type, header, payload);
    std::vector<std::byte> bytes(transport::encoded_bytes(frame));
    transport::encode_frame(bytes, frame);
    send_bytes(as_text(bytes));
  }
  /// `_hello` as this instance; `offer` as one of ours would send it.
  void greet(const PeerInfo& self, const std::optional<Offer>& offer) {
    HelloRequest hello;
    hello.peer_info = self;
    hello.offer = offer;
    send(transport::FrameType::message,
         request_header(protocol::ResponseType::unary, MessageId(self.worker_id(), 0), "_hello"),
         encode_hello_request(hello));
  }
  /// Answers the greeting `frame` as a peer with these handlers.
  void answer_greeting(const RawFrame& frame, std::vector<std::string> handlers,
                       const std::optional<Offer>& offer) {
    HandlersResponse response;
    response.handlers = std::move(handlers);
    response.offer = offer;
    send(transport::FrameType::response, response_header(frame.request().id),
         encode_handlers_response(response));
  }
  void close() { stream_->close(); }

  /// The first frame that came and was not taken yet; `frames` must not be empty.
  RawFrame take() {
    RawFrame frame = std::move(frames.front());
    frames.erase(frames.begin());
    return frame;
  }
  bool over() const { return over_; }

  std::vector<RawFrame> frames;

 private:
  void on_readable() override {
    for (;;) {
      std::array<std::byte, 65'536> buffer;
      const IoResult got = stream_->try_read(buffer);
      if (got.status == IoResult::Status::would_block) break;
      if (got.status != IoResult::Status::ok) {
        over_ = true;
        break;
      }
      heard_ += as_text(ByteSpan(buffer).first(got.bytes));
    }
    transport::FrameParser parser(as_bytes(heard_));
    while (parser.next() == transport::FrameParser::Status::frame) {
      RawFrame frame;
      frame.type = parser.type();
      frame.header = Bytes::copy(parser.header());
      frame.payload = Bytes::copy(parser.payload());
      frames.push_back(std::move(frame));
    }
    heard_ = std::string(as_text(parser.rest()));
  }
  void on_writable() override { flush(); }

  void flush() {
    while (!unsent_.empty()) {
      const std::array<iovec, 1> parts{iovec{unsent_.data(), unsent_.size()}};
      const IoResult sent = stream_->try_write(parts);
      if (sent.status == IoResult::Status::would_block) return stream_->want_write();
      if (sent.status != IoResult::Status::ok) {
        over_ = true;
        return;
      }
      unsent_.erase(0, sent.bytes);
    }
  }

  std::unique_ptr<ByteStream> stream_;
  std::string heard_;
  std::string unsent_;
  bool over_ = false;
};

/// A peer on a node of its own: it listens, accepts, dials, and says what the test tells it to.
class RawPeer {
 public:
  explicit RawPeer(Cluster& cluster, const std::string& name = "raw")
      : cluster_(cluster), node_(cluster.sim.add_node(name)) {
    cluster_.outsiders = true;
    info.instance_id = InstanceId::random(cluster_.sim.random());
    auto listening =
        node_.network().listen(node_.shard(0), node_.endpoint(0), ListenOptions(),
                               [this](Result<std::unique_ptr<ByteStream>> stream) {
                                 if (stream) {
                                   accepted.push_back(std::make_unique<RawEnd>(std::move(*stream)));
                                 }
                               });
    EXPECT_TRUE(listening);
    listener_ = std::move(*listening);
    const transport::InterfaceEndpoint self("", node_.host(), listener_->local().port, 0);
    info.address.emplace("tcp", transport::encode_interface_endpoints(std::span(&self, 1)));
  }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  /// Connects to a messenger that listens.
  RawEnd& dial(const Messenger& messenger) {
    const auto endpoints =
        transport::parse_interface_endpoints(messenger.peer_info().address.at("tcp"), "tcp");
    EXPECT_TRUE(endpoints);
    const std::size_t before = dialed.size();
    auto connecting = node_.network().connect(
        node_.shard(0), Endpoint::tcp(endpoints->front().ip, endpoints->front().port),
        ConnectOptions(), [this](Result<std::unique_ptr<ByteStream>> stream) {
          EXPECT_TRUE(stream);
          if (stream) dialed.push_back(std::make_unique<RawEnd>(std::move(*stream)));
        });
    EXPECT_TRUE(cluster_.until([&] { return dialed.size() > before; }));
    return *dialed.back();
  }
  /// The next frame on `end`; fails the test and returns an empty one when there is none in time.
  RawFrame next(RawEnd& end) {
    EXPECT_TRUE(cluster_.until([&] { return !end.frames.empty(); })) << "no frame came";
    return end.frames.empty() ? RawFrame() : end.take();
  }
  /// The connection that a messenger makes to this peer, when it has come.
  RawEnd& wait_accepted(std::size_t index = 0) {
    EXPECT_TRUE(cluster_.until([&] { return accepted.size() > index; })) << "nobody connected";
    return *accepted.at(index);
  }
  MessageId id(std::uint64_t local) const { return {info.worker_id(), local}; }

  PeerInfo info;
  std::vector<std::unique_ptr<RawEnd>> accepted;
  std::vector<std::unique_ptr<RawEnd>> dialed;

 private:
  Cluster& cluster_;
  sim::SimNode& node_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace velo::messenger::testing
