#pragma once
// Where the output goes, and what that place can show.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <workflows/error.h>
#include <workflows/time.h>

namespace workflows::cli {

enum class Style : std::uint8_t { plain, bold, dim, red, green, yellow, blue, cyan };

class Console {
 public:
  // Standard output and input of this process, as its environment says (NO_COLOR, COLUMNS).
  Console();

  bool json() const { return json_; }
  void set_json(bool json) { json_ = json; }

  // Standard output is a terminal.
  bool is_terminal() const { return terminal_; }
  // Columns of the terminal; absent: lines may be as long as they like.
  std::optional<std::size_t> width() const { return width_; }
  // For what needs some width, such as a time axis.
  std::size_t some_width() const { return width_.value_or(100); }
  TimePoint now() const;

  std::string styled(Style style, std::string_view text) const;
  // Requires: harmless text.
  void line(std::string_view text = {});
  // JSON on one line, whatever white space stands between its tokens. On a terminal nothing in it acts.
  void json_line(std::string_view json);
  // A text behind `head`, whose columns are `indent`, on as many lines as the width asks for.
  void paragraph(std::string_view head, std::size_t indent, std::string_view text);
  // What is going on, for a person who waits: on standard error, if that is a terminal. Nothing of it stays.
  void progress(std::string_view text);
  void end_progress();
  // An error or a warning that is no result.
  void note(std::string_view text);
  void fail(std::string_view code, std::string_view message, int exit_code);

  // A line that somebody types, after `prompt`; absent: the input has ended.
  std::optional<std::string> ask(std::string_view prompt);
  // False: what was printed did not all arrive; errno says why.
  bool flush();

 private:
  bool json_ = false;
  bool terminal_ = false;
  bool colours_ = false;
  bool error_terminal_ = false;  // one on which a line can be written again
  bool progress_shown_ = false;
  std::optional<std::size_t> width_;
  std::optional<TimePoint> fixed_now_;  // tests compare whole outputs
};

// Throws StoreError if what was printed did not arrive, for example because the disk is full.
void check_output(Console& console);

}  // namespace workflows::cli
