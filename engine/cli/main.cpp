#include "engine/cli/cli.h"

int main(int count, char** arguments) {
  return workflows::cli::run(std::vector<std::string>(arguments + 1, arguments + count), {});
}
