#pragma once
// Values that JSON knows, straight between Python objects and text: the bytes that Python's `json` writes, several
// times as fast. Whatever is not that plain is left to workflows/_values.py: tags, NaN, half surrogates, very long
// integers, subclasses, cycles, deep nesting, text that is not JSON.
//
// Thread-safety: all of it needs the GIL. No user code runs.

#include <pybind11/pybind11.h>

#include <string>
#include <string_view>

namespace workflows::python {

// False if the value is not plain; then `text` is unspecified.
bool encode_plain(PyObject* value, std::string& text);

// A new reference; null, without an exception set, if the text is not plain.
PyObject* decode_plain(std::string_view text);

}  // namespace workflows::python
