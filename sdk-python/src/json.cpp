#include "json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

#include "bindings.h"
#include "convert.h"

namespace workflows::python {
namespace {

constexpr int kMaxDepth = 900;  // Python itself goes on to about 1,000

// ---------------------------------------------------------------- writing

constexpr std::string_view kHex = "0123456789abcdef";

// What stands after the backslash; 0: nothing is to be escaped; 'u': its number.
constexpr std::array<char, 256> make_escapes() {
  std::array<char, 256> escapes{};
  for (std::size_t c = 0; c < 0x20; ++c) escapes.at(c) = 'u';
  escapes['\b'] = 'b';
  escapes['\f'] = 'f';
  escapes['\n'] = 'n';
  escapes['\r'] = 'r';
  escapes['\t'] = 't';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  return escapes;
}
constexpr std::array<char, 256> kEscapes = make_escapes();

void write_string(std::string_view utf8, std::string& text) {
  text += '"';
  std::size_t copied = 0;
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<unsigned char>(utf8[i]);
    const char escape = kEscapes[byte];
    if (escape == 0) continue;
    text.append(utf8, copied, i - copied);
    copied = i + 1;
    text += '\\';
    text += escape;
    if (escape == 'u') {
      text += "00";
      text += kHex[byte >> 4U];
      text += kHex[byte & 15U];
    }
  }
  text.append(utf8, copied);
  text += '"';
}

class Writer {
 public:
  explicit Writer(std::string& text) : text_(text) {}

  bool write(PyObject* value, int depth) {
    PyTypeObject* type = Py_TYPE(value);
    if (type == &PyUnicode_Type) return write_text(value);
    if (value == Py_None) return put("null");
    if (type == &PyLong_Type) return write_int(value);
    if (type == &PyBool_Type) return put(value == Py_True ? "true" : "false");
    if (type == &PyFloat_Type) return write_float(PyFloat_AS_DOUBLE(value));
    if (depth == kMaxDepth) return false;
    if (type == &PyDict_Type) return write_dict(value, depth + 1);
    if (type == &PyList_Type) return write_list(value, depth + 1);
    return false;
  }

 private:
  bool put(std::string_view word) {
    text_ += word;
    return true;
  }

  std::optional<std::string_view> utf8_of(PyObject* value) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(value, &size);
    if (utf8 != nullptr) return std::string_view(utf8, static_cast<std::size_t>(size));
    PyErr_Clear();  // half a surrogate pair
    return std::nullopt;
  }

  bool write_text(PyObject* value) {
    const auto utf8 = utf8_of(value);
    if (utf8) write_string(*utf8, text_);
    return utf8.has_value();
  }

  bool write_int(PyObject* value) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow != 0) {
      const auto decimal = py::reinterpret_steal<py::object>(PyLong_Type.tp_repr(value));
      if (decimal) return put(*utf8_of(decimal.ptr()));
      PyErr_Clear();  // longer than Python writes
      return false;
    }
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    return put({digits.data(), static_cast<std::size_t>(end - digits.data())});
  }

  bool write_float(double number) {
    if (!std::isfinite(number)) return false;
    const std::unique_ptr<char, decltype(&PyMem_Free)> digits(
        PyOS_double_to_string(number, 'r', 0, Py_DTSF_ADD_DOT_0, nullptr), &PyMem_Free);
    if (!digits) throw py::error_already_set();
    return put(digits.get());
  }

  bool write_list(PyObject* list, int depth) {
    text_ += '[';
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
      if (i > 0) text_ += ',';
      if (!write(PyList_GET_ITEM(list, i), depth)) return false;
    }
    text_ += ']';
    return true;
  }

  bool write_dict(PyObject* dict, int depth) {
    text_ += '{';
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    bool first = true;
    for (Py_ssize_t position = 0; PyDict_Next(dict, &position, &key, &value) != 0; first = false) {
      if (Py_TYPE(key) != &PyUnicode_Type) return false;
      const auto name = utf8_of(key);
      if (!name || *name == "$") return false;
      if (!first) text_ += ',';
      write_string(*name, text_);
      text_ += ':';
      if (!write(value, depth)) return false;
    }
    text_ += '}';
    return true;
  }

  std::string& text_;
};

// ---------------------------------------------------------------- reading

class Reader {
 public:
  explicit Reader(std::string_view text) : next_(text.data()), end_(text.data() + text.size()) {}

  // The value, if it is all that the text holds.
  py::object read_all() {
    py::object value = read(0);
    skip_space();
    return next_ == end_ ? value : py::object();
  }

 private:
  // Every reader gives an empty object for what is not plain.
  py::object read(int depth) {
    skip_space();
    if (next_ == end_ || depth > kMaxDepth) return {};
    switch (*next_) {
      case '"':
        return read_string();
      case '{':
        return read_dict(depth);
      case '[':
        return read_list(depth);
      case 'n':
        return read_word("null", Py_None);
      case 't':
        return read_word("true", Py_True);
      case 'f':
        return read_word("false", Py_False);
      default:
        return read_number();
    }
  }

  void skip_space() {
    while (next_ != end_ && (*next_ == ' ' || *next_ == '\n' || *next_ == '\t' || *next_ == '\r')) ++next_;
  }

  bool take(char wanted) {
    skip_space();
    if (next_ == end_ || *next_ != wanted) return false;
    ++next_;
    return true;
  }

  py::object read_word(std::string_view word, PyObject* value) {
    if (!std::string_view(next_, end_).starts_with(word)) return {};
    next_ += word.size();
    return py::reinterpret_borrow<py::object>(value);
  }

  static py::object decoded(std::string_view utf8) {
    PyObject* text = PyUnicode_DecodeUTF8(utf8.data(), static_cast<Py_ssize_t>(utf8.size()), nullptr);
    if (text == nullptr) PyErr_Clear();
    return py::reinterpret_steal<py::object>(text);
  }

  py::object read_string() {
    const char* begin = ++next_;
    bool escaped = false;
    for (; next_ != end_ && *next_ != '"'; ++next_) {
      if (static_cast<unsigned char>(*next_) < 0x20) return {};
      if (*next_ != '\\') continue;
      escaped = true;
      if (++next_ == end_) return {};
    }
    if (next_ == end_) return {};
    const std::string_view raw(begin, next_++);
    return escaped ? unescaped(raw) : decoded(raw);
  }

  static py::object unescaped(std::string_view raw) {
    static constexpr std::string_view kLetters = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    std::string text;
    text.reserve(raw.size());
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '\\') {
        text += raw[i];
        continue;
      }
      const auto letter = kLetters.find(raw[++i]);
      if (letter == std::string_view::npos) return {};  // \u
      text += kMeanings[letter];
    }
    return decoded(text);
  }

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  py::object read_number() {
    const char* begin = next_;
    if (*next_ == '-') ++next_;
    const char* digits = next_;
    while (next_ != end_ && is_digit(*next_)) ++next_;
    if (next_ == digits || (*digits == '0' && next_ - digits > 1)) return {};
    if (next_ == end_ || (*next_ != '.' && *next_ != 'e' && *next_ != 'E')) {
      std::int64_t number = 0;
      if (std::from_chars(begin, next_, number).ec != std::errc()) return {};  // a long one
      return py::reinterpret_steal<py::object>(PyLong_FromLongLong(number));
    }
    return read_float(begin);
  }

  py::object read_float(const char* begin) {
    const auto skip_digits = [this] {
      const char* digits = next_;
      while (next_ != end_ && is_digit(*next_)) ++next_;
      return next_ != digits;
    };
    if (*next_ == '.') {
      ++next_;
      if (!skip_digits()) return {};
    }
    if (next_ != end_ && (*next_ == 'e' || *next_ == 'E')) {
      ++next_;
      if (next_ != end_ && (*next_ == '+' || *next_ == '-')) ++next_;
      if (!skip_digits()) return {};
    }
    const double number = PyOS_string_to_double(std::string(begin, next_).c_str(), nullptr, nullptr);
    return py::reinterpret_steal<py::object>(PyFloat_FromDouble(number));
  }

  py::object read_list(int depth) {
    ++next_;
    py::object list = py::reinterpret_steal<py::object>(PyList_New(0));
    if (take(']')) return list;
    do {
      const py::object item = read(depth + 1);
      if (!item || PyList_Append(list.ptr(), item.ptr()) != 0) return {};
    } while (take(','));
    return take(']') ? list : py::object();
  }

  py::object read_dict(int depth) {
    ++next_;
    py::object dict = py::reinterpret_steal<py::object>(PyDict_New());
    if (take('}')) return dict;
    do {
      skip_space();
      if (next_ == end_ || *next_ != '"') return {};
      const py::object key = read_string();
      if (!key || !take(':')) return {};
      const py::object value = read(depth + 1);
      if (!value || PyDict_SetItem(dict.ptr(), key.ptr(), value.ptr()) != 0) return {};
    } while (take(','));
    return take('}') ? dict : py::object();
  }

  const char* next_;
  const char* end_;
};

}  // namespace

bool encode_plain(PyObject* value, std::string& text) { return Writer(text).write(value, 0); }

PyObject* decode_plain(std::string_view text) {
  if (text.find("\"$\"") != std::string_view::npos) return nullptr;  // a tag, or an ordinary "$"
  return Reader(text).read_all().release().ptr();
}

void bind_json(py::module_& module) {
  module.def(
      "encode_plain",
      [](const py::object& value) -> py::object {
        std::string text;
        if (!encode_plain(value.ptr(), text)) return py::none();
        return to_bytes(text);
      },
      py::arg("value"), "The value as JSON; None if JSON as such does not say all about it.");
  module.def(
      "decode_plain",
      [](const py::bytes& data) {
        PyObject* value = decode_plain(data);
        return value != nullptr ? py::reinterpret_steal<py::object>(value)
                                : py::reinterpret_borrow<py::object>(Py_NotImplemented);
      },
      py::arg("data"), "The value; NotImplemented if it holds tags or is not JSON.");
}

}  // namespace workflows::python
