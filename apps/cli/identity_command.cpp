// SPDX-License-Identifier: Apache-2.0
// The command line of `velo identity`.

#include "identity.hpp"

#include <CLI/CLI.hpp>

#include <limits>
#include <memory>

namespace velo::cli {

namespace identity_command_detail {

static CLI::App* command(CLI::App* above, const std::string& name, const std::string& what,
                         const std::string& examples) {
  CLI::App* sub = above->add_subcommand(name, what);
  sub->fallthrough();
  sub->footer("Examples:\n" + examples);
  return sub;
}

static void folder_option(CLI::App* sub, std::string& folder) {
  sub->add_option("DIR", folder, "Its folder")->required();
}

static void authority_option(CLI::App* sub, std::string& folder) {
  sub->add_option("--authority", folder, "Folder of the authority")
      ->type_name("DIR")
      ->envname("VELO_AUTHORITY")
      ->required();
}

static void own_secret_option(CLI::App* sub, Passphrases& secrets) {
  sub->add_option("--passphrase-file", secrets.own_file,
                  "Its first line seals the key [VELO_PASSPHRASE; none: not sealed]")
      ->type_name("PATH");
}

/// Of the command that works on an authority only.
static void only_secret_option(CLI::App* sub, Passphrases& secrets) {
  sub->add_option("--passphrase-file", secrets.authority_file,
                  "Its first line opens the authority's key [VELO_AUTHORITY_PASSPHRASE, or else "
                  "VELO_PASSPHRASE; none: it is not sealed]")
      ->type_name("PATH");
}

static void authority_secret_option(CLI::App* sub, Passphrases& secrets) {
  sub->add_option("--authority-passphrase-file", secrets.authority_file,
                  "Of the authority [VELO_AUTHORITY_PASSPHRASE; none: as the other one]")
      ->type_name("PATH");
}

static void lifetime_option(CLI::App* sub, Duration& lifetime, const std::string& what) {
  sub->add_option_function<std::string>(
         "--lifetime",
         [&lifetime](const std::string& text) {
           const auto parsed = parse_duration(text);
           if (!parsed) throw CLI::ValidationError(parsed.error().context());
           if (*parsed < std::chrono::minutes(1)) {
             throw CLI::ValidationError("--lifetime: a minute at least");
           }
           lifetime = *parsed;
         },
         what)
      ->type_name("DURATION");
}

static void add_new_authority(CLI::App* identity, Globals& globals) {
  auto options = std::make_shared<NewAuthorityOptions>();
  CLI::App* sub = command(identity, "new-authority", "An authority, which issues to nodes",
                          "  velo identity new-authority /safe/authority\n"
                          "  VELO_PASSPHRASE=... velo identity new-authority /safe/authority "
                          "--name 'My cluster' --lifetime 3650d");
  folder_option(sub, options->folder);
  sub->add_option("--name", options->name, "Its common name")->capture_default_str();
  sub->add_option("--path-length", options->path_length, "Authorities that may stand below it")
      ->check(CLI::Range(0, 6))
      ->capture_default_str();
  lifetime_option(sub, options->lifetime, "Time for which it is valid [3650d]");
  own_secret_option(sub, options->secrets);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_new_authority(globals, *options); };
  });
}

static void add_new(CLI::App* identity, Globals& globals) {
  auto options = std::make_shared<NewIdentityOptions>();
  CLI::App* sub = command(identity, "new", "A node's key, with a certificate of an authority",
                          "  velo identity new /etc/node-a --authority /safe/authority "
                          "--name node-a\n"
                          "  velo identity new /etc/node-a --authority /safe/authority "
                          "--name node-a --names a.example 192.0.2.1 --lifetime 30d");
  folder_option(sub, options->folder);
  authority_option(sub, options->authority);
  sub->add_option("--name", options->name, "Its common name")->required();
  sub->add_option("--names", options->names, "Host names, addresses and URIs that it has, too")
      ->type_name("NAME");
  sub->add_option("--purpose", options->purpose, "What it may act as")
      ->check(CLI::IsMember({"peer", "client", "server"}))
      ->capture_default_str();
  lifetime_option(sub, options->lifetime, "Time for which it is valid [90d]");
  own_secret_option(sub, options->secrets);
  authority_secret_option(sub, options->secrets);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_new_identity(globals, *options); };
  });
}

static void add_rotate(CLI::App* identity, Globals& globals) {
  auto options = std::make_shared<RotateOptions>();
  CLI::App* sub = command(identity, "rotate",
                          "A new key and certificate with the same names, in place of the old",
                          "  velo identity rotate /etc/node-a --authority /safe/authority");
  folder_option(sub, options->folder);
  authority_option(sub, options->authority);
  lifetime_option(sub, options->lifetime, "Time for which it is valid [90d]");
  own_secret_option(sub, options->secrets);
  authority_secret_option(sub, options->secrets);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_rotate(globals, *options); };
  });
}

static void add_revoke(CLI::App* identity, Globals& globals) {
  auto options = std::make_shared<RevokeOptions>();
  CLI::App* sub = command(identity, "revoke",
                          "Withdraws certificates; without any, makes the list valid for longer",
                          "  velo identity revoke --authority /safe/authority 4F6A...\n"
                          "  velo identity revoke --authority /safe/authority --lifetime 30d");
  authority_option(sub, options->authority);
  sub->add_option("SERIAL|NODE", options->whom,
                  "Serial numbers, or node ids (all certificates of that node)");
  lifetime_option(sub, options->lifetime, "Time until the list must be renewed [30d]");
  only_secret_option(sub, options->secrets);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_revoke(globals, *options); };
  });
}

static void add_update(CLI::App* identity, Globals& globals) {
  auto options = std::make_shared<UpdateOptions>();
  CLI::App* sub = command(identity, "update",
                          "Gives a node the authority's certificate and revocation list of today",
                          "  velo identity update /etc/node-a --authority /safe/authority");
  folder_option(sub, options->folder);
  authority_option(sub, options->authority);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_update(globals, *options); };
  });
}

static void add_show(CLI::App* identity, Globals& globals) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* sub =
      command(identity, "show", "Who a folder is, until when, whom it trusts, and what is revoked",
              "  velo identity show /etc/node-a\n"
              "  velo identity show /safe/authority -o json");
  folder_option(sub, options->folder);
  sub->callback([&globals, options] {
    globals.action = [&globals, options] { return run_show(globals, *options); };
  });
}

}  // namespace identity_command_detail

void add_identity_command(CLI::App& app, Globals& globals) {
  CLI::App* identity = app.add_subcommand(
      "identity", "Keys and certificates: make an authority, nodes below it, revoke, rotate");
  identity->require_subcommand(1);
  identity->fallthrough();
  identity->footer(
      "Examples:\n  velo identity new-authority /safe/authority\n"
      "  velo identity new /etc/node-a --authority /safe/authority --name node-a\n"
      "  velo identity show /etc/node-a");
  identity_command_detail::add_new_authority(identity, globals);
  identity_command_detail::add_new(identity, globals);
  identity_command_detail::add_show(identity, globals);
  identity_command_detail::add_rotate(identity, globals);
  identity_command_detail::add_revoke(identity, globals);
  identity_command_detail::add_update(identity, globals);
}

}  // namespace velo::cli
