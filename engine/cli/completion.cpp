#include <fmt/format.h>

#include <functional>
#include <map>

#include "engine/cli/commands.h"
#include "engine/cli/json.h"

namespace workflows::cli {
namespace {

// In single quotes for a shell.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

std::string options_in(const CompletedCommand& command) {
  std::vector<std::string> names;
  for (const auto& option : command.options) {
    names.push_back(option.name);
    if (!option.short_name.empty()) names.push_back(option.short_name);
  }
  return joined(names);
}

std::string commands_in(const CompletedCommand& program) {
  std::vector<std::string> names;
  names.reserve(program.commands.size());
  for (const auto& command : program.commands) names.push_back(command.name);
  return joined(names);
}

// Each option that takes one of a few values, once.
std::string cases_of_values(const CompletedCommand& program,
                            const std::function<std::string(const std::string&)>& offer) {
  std::map<std::string, std::string> values;
  for (const auto& command : program.commands) {
    for (const auto& option : command.options)
      if (!option.values.empty()) values[option.name] = joined(option.values);
  }
  std::string cases;
  for (const auto& [name, words] : values) cases += fmt::format("    {}) {}; return ;;\n", name, offer(words));
  return cases;
}

std::string bash(const CompletedCommand& program) {
  const auto offer = [](const std::string& words) {
    return fmt::format(R"(COMPREPLY=($(compgen -W "{}" -- "$word")))", words);
  };
  std::string script =
      "# source this, or put it into ~/.local/share/bash-completion/completions/workflows\n"
      "_workflows() {\n"
      "  local word=\"${COMP_WORDS[COMP_CWORD]}\" command=\"\" i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"${COMP_WORDS[i]}\" in\n"
      "      --db) ((i++)) ;;\n"
      "      -*) ;;\n"
      "      *) command=\"${COMP_WORDS[i]}\"; break ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"${COMP_WORDS[COMP_CWORD - 1]}\" in\n"
      "    --db) return ;;\n";
  script += cases_of_values(program, offer);
  script += fmt::format("  esac\n  case \"$command\" in\n    \"\") {} ;;\n",
                        offer(commands_in(program) + " " + options_in(program)));
  for (const auto& command : program.commands) {
    if (!command.words.empty())
      script += fmt::format("    {}) {} ;;\n", command.name, offer(joined(command.words) + " " + options_in(command)));
    else
      script += fmt::format("    {}) [[ $word == -* ]] && {} ;;\n", command.name, offer(options_in(command)));
  }
  return script + "  esac\n  return 0\n}\ncomplete -o default -F _workflows workflows";
}

std::string zsh(const CompletedCommand& program) {
  const auto offer = [](const std::string& words) { return "compadd -- " + words; };
  std::string script =
      "#compdef workflows\n"
      "# put this as _workflows into a folder of $fpath\n"
      "_workflows() {\n"
      "  local -a commands\n"
      "  local command=\"\" i\n"
      "  commands=(\n";
  for (const auto& command : program.commands)
    script += fmt::format("    {}\n", quoted(command.name + ":" + command.description));
  script +=
      "  )\n"
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    case $words[i] in\n"
      "      --db) ((i++)) ;;\n"
      "      -*) ;;\n"
      "      *) command=$words[i]; break ;;\n"
      "    esac\n"
      "  done\n"
      "  case $words[CURRENT-1] in\n"
      "    --db) _files; return ;;\n";
  script += cases_of_values(program, offer);
  script += fmt::format(
      "  esac\n"
      "  case $command in\n"
      "    '')\n"
      "      if [[ $words[CURRENT] == -* ]]; then {}; else _describe command commands; fi\n"
      "      return ;;\n",
      offer(options_in(program)));
  for (const auto& command : program.commands) {
    if (!command.words.empty())
      script += fmt::format("    {}) {} ;;\n", command.name, offer(joined(command.words) + " " + options_in(command)));
    else
      script += fmt::format("    {}) [[ $words[CURRENT] == -* ]] && {} ;;\n", command.name, offer(options_in(command)));
  }
  return script + "  esac\n  _files\n}\n_workflows \"$@\"";
}

std::string fish_option(const std::string& condition, const CompletedOption& option) {
  std::string line = fmt::format("complete -c workflows -n '{}' -l {}", condition, option.name.substr(2));
  if (!option.short_name.empty()) line += " -s " + option.short_name.substr(1);
  if (!option.values.empty()) return line + fmt::format(" -x -a {}\n", quoted(joined(option.values)));
  return line + (option.takes_value ? " -r\n" : "\n");
}

std::string fish(const CompletedCommand& program) {
  constexpr const char* kNone = "not __workflows_command >/dev/null";
  std::string script =
      "# put this into ~/.config/fish/completions/workflows.fish\n"
      "function __workflows_command\n"
      "  set -l words (commandline -opc)\n"
      "  set -l skipped 1\n"
      "  for word in $words\n"
      "    if test $skipped = 1\n"
      "      set skipped 0\n"
      "    else if test \"$word\" = --db\n"
      "      set skipped 1\n"
      "    else if not string match -q -- '-*' $word\n"
      "      echo $word\n"
      "      return 0\n"
      "    end\n"
      "  end\n"
      "  return 1\n"
      "end\n";
  for (const auto& option : program.options) script += fish_option(kNone, option);
  for (const auto& command : program.commands) {
    const std::string given = fmt::format("contains {} (__workflows_command)", command.name);
    script +=
        fmt::format("complete -c workflows -n '{}' -f -a {} -d {}\n", kNone, command.name, quoted(command.description));
    if (!command.words.empty())
      script += fmt::format("complete -c workflows -n '{}' -f -a {}\n", given, quoted(joined(command.words)));
    for (const auto& option : command.options) script += fish_option(given, option);
  }
  script.pop_back();
  return script;
}

}  // namespace

int completion(Context& context, const std::string& shell, const CompletedCommand& program) {
  const std::string script = shell == "bash" ? bash(program) : shell == "zsh" ? zsh(program) : fish(program);
  if (context.console.json())
    context.console.json_line(JsonObject().text("shell", shell).text("script", script).take());
  else
    context.console.line(script);
  return kOk;
}

}  // namespace workflows::cli
