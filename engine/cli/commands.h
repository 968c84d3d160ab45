#pragma once
// The commands: what each is asked for, and its function, which returns the exit code. Errors are thrown.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <workflows/instance_info.h>
#include <workflows/time.h>

#include "engine/cli/context.h"

namespace workflows::cli {

struct ListRequest {
  ListQuery query{.newest_only = true};
  std::optional<std::uint64_t> limit{};
  bool count = false;
};
int list(Context& context, const ListRequest& request);

int inspect(Context& context, const std::string& name);

struct TailRequest {
  std::string name{};  // "": of every instance
  bool follow = false;
};
int tail(Context& context, const TailRequest& request);

struct EventRequest {
  std::string name{};
  std::string type{};
  std::string payload = "null";  // JSON or @file
  std::string event_id{};
};
int send_event(Context& context, const EventRequest& request);

int pause(Context& context, const std::string& name);
int resume(Context& context, const std::string& name);
struct TerminateRequest {
  std::string name{};
  bool rollback = false;
};
int terminate(Context& context, const TerminateRequest& request);
struct RestartCommand {
  std::string name{};
  RestartRequest request{};
};
int restart(Context& context, const RestartCommand& command);
int remove(Context& context, const std::string& name);

struct ReplayRequest {
  std::string name{};
  std::string until{};  // a step's name, or name#count
  std::optional<TimePoint> at{};
  bool step = false;
};
int replay(Context& context, const ReplayRequest& request);

int diff(Context& context, const std::string& first, const std::string& second);

struct GraphRequest {
  std::string name{};
  std::string format = "text";
};
int graph(Context& context, const GraphRequest& request);

struct ExportRequest {
  std::string name{};
  std::string output = "-";
  Redaction redaction = Redaction::sensitive;
};
int export_history(Context& context, const ExportRequest& request);
int import_history(Context& context, const std::string& file);

int collect_garbage(Context& context);
int doctor(Context& context);
int stats(Context& context);

// What a shell completes.
struct CompletedOption {
  std::string name{};        // "--follow"
  std::string short_name{};  // "-f"; "": none
  bool takes_value = false;
  std::vector<std::string> values{};  // empty: any
};
struct CompletedCommand {
  std::string name{};  // "": the program
  std::string description{};
  std::vector<CompletedOption> options{};
  std::vector<std::string> words{};  // that may follow it; empty: any
  std::vector<CompletedCommand> commands{};
};
int completion(Context& context, const std::string& shell, const CompletedCommand& program);

}  // namespace workflows::cli
