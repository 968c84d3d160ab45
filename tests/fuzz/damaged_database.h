#pragma once
// A database file whose bytes were changed by anybody: it is refused, or an error is met, or it is read and written.
// It never ends the process, and no number that this library does not know is taken for one that it knows.

#include <string_view>

namespace workflows::fuzz {

enum class Met { nothing, an_error, a_refusal };

// Five bytes an edit: where in the file and its WAL, and what to put there.
Met damaged_database(std::string_view edits);

}  // namespace workflows::fuzz
