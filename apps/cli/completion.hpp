// SPDX-License-Identifier: Apache-2.0
// Completion scripts for shells, made from the program's own commands: a pure function from the
// table of commands to text. Not a parser: completion_command.cpp reads the table out of CLI11.
// Threading: any; nothing is shared.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace velo::cli {

/// What may follow an option, or stand as a command's argument: nothing, `any` text, `files`,
/// `dirs`, or the words themselves with a space between them.
using Follows = std::string;

struct CompletedOption {
  std::vector<std::string> names;  ///< "-o", "--output"
  std::string about;
  Follows follows;  ///< empty: a flag
};

struct CompletedCommand {
  std::string path;  ///< "" is the program itself, then "bench", "bench latency"
  std::string about;
  Follows argument;
  std::vector<CompletedOption> options;  ///< with those of the commands above that it takes, too
};

/// `shell` is bash, zsh or fish; anything else gives an empty script.
std::string completion_script(std::string_view shell,
                              const std::vector<CompletedCommand>& commands);

}  // namespace velo::cli
