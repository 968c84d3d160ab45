#include <fmt/format.h>

#include "engine/cli/commands.h"

namespace workflows::cli {
namespace {

std::string names_of(const std::vector<CompletedCommand>& commands) {
  std::string names;
  for (const auto& command : commands) names += (names.empty() ? "" : " ") + command.name;
  return names;
}

// In single quotes for a shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

void print_bash(Console& console, const std::vector<CompletedCommand>& commands) {
  console.line("# source this, or put it into ~/.local/share/bash-completion/completions/workflows");
  console.line(
      "_workflows() {\n  local word=\"${COMP_WORDS[COMP_CWORD]}\" command=\"\" i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"${COMP_WORDS[i]}\" in\n"
      "      --db) ((i++)) ;;\n      -*) ;;\n      *) command=\"${COMP_WORDS[i]}\"; break ;;\n"
      "    esac\n  done");
  console.line("  case \"$command\" in");
  console.line(fmt::format("    \"\") COMPREPLY=($(compgen -W \"{} --db --json --help --version\" -- \"$word\")) ;;",
                           names_of(commands)));
  for (const auto& command : commands)
    console.line(fmt::format("    {}) [[ $word == -* ]] && COMPREPLY=($(compgen -W \"{}\" -- \"$word\")) ;;",
                             command.name, fmt::join(command.options, " ")));
  console.line("  esac\n  return 0\n}\ncomplete -o default -F _workflows workflows");
}

void print_zsh(Console& console, const std::vector<CompletedCommand>& commands) {
  console.line(
      "#compdef workflows\n# put this as _workflows into a folder of $fpath\n_workflows() {\n  local -a commands");
  console.line("  commands=(");
  for (const auto& command : commands)
    console.line(fmt::format("    {}", quoted(command.name + ":" + command.description)));
  console.line("  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi");
  console.line("  case $words[2] in");
  for (const auto& command : commands)
    console.line(fmt::format("    {}) compadd -- {} ;;", command.name, fmt::join(command.options, " ")));
  console.line("  esac\n  _files\n}\n_workflows \"$@\"");
}

void print_fish(Console& console, const std::vector<CompletedCommand>& commands) {
  console.line("# put this into ~/.config/fish/completions/workflows.fish");
  for (const auto& command : commands) {
    console.line(fmt::format("complete -c workflows -n __fish_use_subcommand -f -a {} -d {}", command.name,
                             quoted(command.description)));
    for (const auto& option : command.options)
      console.line(fmt::format("complete -c workflows -n '__fish_seen_subcommand_from {}' -l {}", command.name,
                               option.substr(2)));
  }
}

}  // namespace

int completion(Context& context, const std::string& shell, const std::vector<CompletedCommand>& commands) {
  if (shell == "bash")
    print_bash(context.console, commands);
  else if (shell == "zsh")
    print_zsh(context.console, commands);
  else
    print_fish(context.console, commands);
  return kOk;
}

}  // namespace workflows::cli
