// SPDX-License-Identifier: Apache-2.0
// The scripts: each walks the words of the line to the command that they reach, then offers what
// follows.

#include "completion.hpp"

#include <fmt/format.h>

#include <cstddef>

namespace velo::cli {

namespace completion_detail {

/// The path without its last word, and that word.
static std::string parent_of(std::string_view path) {
  const std::size_t space = path.rfind(' ');
  return space == std::string_view::npos ? std::string() : std::string(path.substr(0, space));
}

static std::string name_of(std::string_view path) {
  return std::string(path.substr(path.rfind(' ') + 1));
}

static bool is_child(const CompletedCommand& command, std::string_view path) {
  return !command.path.empty() && parent_of(command.path) == path;
}

/// Between single quotes; bash and zsh end the string for a quote, fish has an escape.
static std::string quoted(std::string_view text, bool fish) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += fish ? "\\'" : "'\\''";
    } else if (c == '\\' && fish) {
      result += "\\\\";
    } else {
      result += c == '\n' ? ' ' : c;
    }
  }
  return result + "'";
}

/// Arms of a case over "path/word": the commands below, and what follows each option.
static std::string walk_arms(const std::vector<CompletedCommand>& commands) {
  std::string text;
  for (const CompletedCommand& command : commands) {
    if (!command.path.empty()) {
      text += fmt::format("    '{}/{}') command_path='{}' ;;\n", parent_of(command.path),
                          name_of(command.path), command.path);
    }
    for (const CompletedOption& option : command.options) {
      if (option.follows.empty()) continue;
      for (const std::string& name : option.names) {
        text += fmt::format("    '{}/{}') kind='{}' ;;\n", command.path, name, option.follows);
      }
    }
  }
  return text;
}

static std::string bash_words(const std::vector<CompletedCommand>& commands) {
  std::string text;
  for (const CompletedCommand& command : commands) {
    std::string options;
    for (const CompletedOption& option : command.options) {
      for (const std::string& name : option.names) options += (options.empty() ? "" : " ") + name;
    }
    std::string below;
    for (const CompletedCommand& child : commands) {
      if (is_child(child, command.path)) below += (below.empty() ? "" : " ") + name_of(child.path);
    }
    text += fmt::format("    '{}') options='{}' commands='{}' argument='{}' ;;\n", command.path,
                        options, below, command.argument);
  }
  return text;
}

static std::string bash_script(const std::vector<CompletedCommand>& commands) {
  return "# bash completion for velo, made by `velo completion bash`.\n"
         "_velo_step() {\n"
         "  case \"$command_path/$1\" in\n" +
         walk_arms(commands) +
         "  esac\n"
         "}\n\n"
         "_velo() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} command_path='' kind='' word i\n"
         "  local options='' commands='' argument=''\n"
         "  COMPREPLY=()\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    # --option=value arrives as three words.\n"
         "    [[ $word == '=' ]] && continue\n"
         "    if [[ -n $kind ]]; then kind=''; else _velo_step \"$word\"; fi\n"
         "  done\n"
         "  [[ $current == '=' ]] && current=''\n"
         "  case \"$command_path\" in\n" +
         bash_words(commands) +
         "  esac\n"
         "  if [[ -z $kind && $current == -* ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  if [[ -z $kind ]]; then kind=${argument:-$commands}; fi\n"
         "  case $kind in\n"
         "    files) compopt -o filenames 2>/dev/null\n"
         "      mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
         "    dirs) compopt -o filenames 2>/dev/null\n"
         "      mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
         "    any | '') ;;\n"
         "    *) COMPREPLY=($(compgen -W \"$kind\" -- \"$current\")) ;;\n"
         "  esac\n"
         "}\n\n"
         "complete -F _velo velo\n";
}

static std::string zsh_words(const std::vector<CompletedCommand>& commands) {
  std::string text;
  for (const CompletedCommand& command : commands) {
    text += fmt::format("    '{}')\n      argument='{}'\n      options=(\n", command.path,
                        command.argument);
    for (const CompletedOption& option : command.options) {
      for (const std::string& name : option.names) {
        text += fmt::format("        {}\n", quoted(name + ":" + option.about, false));
      }
    }
    text += "      )\n      commands=(\n";
    for (const CompletedCommand& child : commands) {
      if (!is_child(child, command.path)) continue;
      text += fmt::format("        {}\n", quoted(name_of(child.path) + ":" + child.about, false));
    }
    text += "      ) ;;\n";
  }
  return text;
}

static std::string zsh_script(const std::vector<CompletedCommand>& commands) {
  return "#compdef velo\n"
         "# zsh completion for velo, made by `velo completion zsh`.\n"
         "_velo_step() {\n"
         "  case \"$command_path/$1\" in\n" +
         walk_arms(commands) +
         "  esac\n"
         "}\n\n"
         "_velo() {\n"
         "  local current=\"${words[CURRENT]}\" command_path='' kind='' argument='' i\n"
         "  local -a options commands given\n"
         "  for ((i = 2; i < CURRENT; ++i)); do\n"
         "    if [[ -n $kind ]]; then kind=''; else _velo_step \"${words[i]}\"; fi\n"
         "  done\n"
         "  if [[ -z $kind && $current == --*=* ]]; then\n"
         "    _velo_step \"${current%%=*}\"\n"
         "    compset -P '*='\n"
         "  fi\n"
         "  case \"$command_path\" in\n" +
         zsh_words(commands) +
         "  esac\n"
         "  if [[ -z $kind && $current == -* ]]; then\n"
         "    _describe -o option options\n"
         "    return\n"
         "  fi\n"
         "  if [[ -z $kind && -z $argument ]]; then\n"
         "    _describe command commands\n"
         "    return\n"
         "  fi\n"
         "  [[ -n $kind ]] || kind=$argument\n"
         "  case $kind in\n"
         "    files) _files ;;\n"
         "    dirs) _files -/ ;;\n"
         "    any) ;;\n"
         "    *)\n"
         "      given=(${=kind})\n"
         "      _describe value given ;;\n"
         "  esac\n"
         "}\n\n"
         "if [[ ${funcstack[1]-} == _velo ]]; then _velo \"$@\"; else compdef _velo velo; fi\n";
}

/// How `complete` is told what follows.
static std::string fish_follows(const Follows& follows) {
  if (follows.empty()) return "";
  if (follows == "any") return " -x";
  if (follows == "files") return " -r -F";
  if (follows == "dirs") return " -x -a '(__fish_complete_directories)'";
  return fmt::format(" -x -a '{}'", follows);
}

static std::string fish_command(const CompletedCommand& command,
                                const std::vector<CompletedCommand>& commands) {
  const std::string here = fmt::format("complete -c velo -n \"__velo_at '{}'\"", command.path);
  std::string text;
  for (const CompletedCommand& child : commands) {
    if (!is_child(child, command.path)) continue;
    text += fmt::format("{} -a {} -d {}\n", here, name_of(child.path), quoted(child.about, true));
  }
  if (command.argument == "files") {
    text += here + " -F\n";
  } else if (!command.argument.empty() && command.argument != "any") {
    const std::string follows = fish_follows(command.argument);
    text += here + follows.substr(sizeof(" -x") - 1) + "\n";
  }
  for (const CompletedOption& option : command.options) {
    std::string names;
    for (const std::string& name : option.names) {
      names += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    text +=
        here + names + fish_follows(option.follows) + " -d " + quoted(option.about, true) + "\n";
  }
  return text;
}

static std::string fish_script(const std::vector<CompletedCommand>& commands) {
  std::string text =
      "# fish completion for velo, made by `velo completion fish`.\n"
      "function __velo_at --description 'Whether the line has reached this command of velo'\n"
      "  set -l command_path ''\n"
      "  set -l skip no\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    if test $skip = yes\n"
      "      set skip no\n"
      "      continue\n"
      "    end\n"
      "    switch \"$command_path/$word\"\n";
  for (const CompletedCommand& command : commands) {
    if (!command.path.empty()) {
      text += fmt::format("      case '{}/{}'\n        set command_path '{}'\n",
                          parent_of(command.path), name_of(command.path), command.path);
    }
    for (const CompletedOption& option : command.options) {
      if (option.follows.empty()) continue;
      for (const std::string& name : option.names) {
        text += fmt::format("      case '{}/{}'\n        set skip yes\n", command.path, name);
      }
    }
  }
  text +=
      "    end\n"
      "  end\n"
      "  test \"$command_path\" = \"$argv[1]\"\n"
      "end\n\n"
      "complete -c velo -f\n";
  for (const CompletedCommand& command : commands) text += fish_command(command, commands);
  return text;
}

}  // namespace completion_detail

std::string completion_script(std::string_view shell,
                              const std::vector<CompletedCommand>& commands) {
  using namespace completion_detail;
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  if (shell == "fish") return fish_script(commands);
  return {};
}

}  // namespace velo::cli
