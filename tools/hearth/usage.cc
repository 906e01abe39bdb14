#include "tools/hearth/usage.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "tools/hearth/text.h"

namespace hearth::cli {
namespace {

std::vector<std::string> CommandNames(const CLI::App* level) {
  std::vector<std::string> names;
  for (const CLI::App* command : level->get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::string OrNothing(const std::optional<std::string>& nearest) {
  return nearest ? fmt::format("; did you mean '{}'?", *nearest) : "";
}

// What is wrong with the words, if it is a word that nobody knows: its message.
std::string UnknownWord(const CLI::App* level, const std::vector<std::string>& words) {
  std::string path = "hearth";
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") return "";
    if (word.size() > 1 && word[0] == '-') {
      const std::string name = word.substr(0, word.find('='));
      const CLI::Option* option = level->get_option_no_throw(name);
      if (option == nullptr && name.substr(0, 2) == "--") {
        std::vector<std::string> names;
        for (const CLI::Option* known : level->get_options())
          if (!known->get_lnames().empty()) names.push_back("--" + known->get_lnames().front());
        return fmt::format("unknown option '{}'{}", name, OrNothing(Nearest(name, names)));
      }
      if (option != nullptr && option->get_expected_max() > 0 && name.size() == word.size()) ++i;
      continue;
    }
    const auto commands = CommandNames(level);
    if (commands.empty()) continue;
    if (std::find(commands.begin(), commands.end(), word) == commands.end())
      return fmt::format("'{}' is not a command of '{}'{}", EscapeControls(word), path,
                         OrNothing(Nearest(word, commands)));
    level = level->get_subcommand(word);
    path += " " + word;
  }
  return "";
}

const CLI::App* DeepestCommand(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
  return app;
}

std::string PathOf(const CLI::App* app) {
  std::string path = app->get_name();
  for (const CLI::App* at = app->get_parent(); at != nullptr; at = at->get_parent())
    path = at->get_name() + " " + path;
  return path;
}

}  // namespace

ExitCode ExplainParseError(const CLI::App& app, const CLI::ParseError& error,
                           const std::vector<std::string>& words) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    // Help and version come this way.
    if (dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr)
      return PrintOut(fmt::format("{}\n", error.what()));
    const CLI::App* command = DeepestCommand(&app);
    const CLI::App* parent = command->get_parent();
    std::string help =
        command->help(parent == nullptr ? "" : PathOf(parent), CLI::AppFormatMode::Normal);
    // CLI11 puts an empty line before and after each group.
    for (std::size_t at = 0; (at = help.find("\n\n\n", at)) != std::string::npos;)
      help.erase(at, 1);
    return PrintOut(help);
  }
  std::string message = UnknownWord(&app, words);
  const auto commands = CommandNames(DeepestCommand(&app));
  if (message.empty() && !commands.empty())
    message = fmt::format("a command is missing: {}", fmt::join(commands, ", "));
  if (message.empty()) message = error.what();
  Complain(fmt::format("{}; see '{} --help'", message, PathOf(DeepestCommand(&app))));
  return kExitUsage;
}

}  // namespace hearth::cli
