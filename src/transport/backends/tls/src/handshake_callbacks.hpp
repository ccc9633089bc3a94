// SPDX-License-Identifier: Apache-2.0
// What OpenSSL asks and tells while a handshake runs. The SSL's application data is the Handshake.
// Threading: inside Handshake::advance().
#pragma once

#include <openssl/ssl.h>

namespace velo::transport::tls {

struct HandshakeCallbacks {
  /// The judgement of the other end's chain.
  static int verify(X509_STORE_CTX* store, void* unused);
  /// A client that offers no application protocol is refused before anything else is done.
  static int client_hello(SSL* ssl, int* alert, void* unused);
  static int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_bytes,
                             const unsigned char* offered, unsigned offered_bytes, void* unused);
  /// The traffic secrets, as lines of the key log format.
  static void key_line(const SSL* ssl, const char* line);
};

}  // namespace velo::transport::tls
