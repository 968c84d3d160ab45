#pragma once
// Is told by the kernel when somebody, here or in another process, writes to a file.

#include <string>

namespace workflows::storage::sqlite {

class ChangeNotice {
 public:
  // The system may refuse (it allows so many per user): then `fd` is -1, and nothing is ever told.
  explicit ChangeNotice(const std::string& file);
  ~ChangeNotice();
  ChangeNotice(const ChangeNotice&) = delete;
  ChangeNotice& operator=(const ChangeNotice&) = delete;

  // Readable after a write, until `clear`.
  int fd() const { return fd_; }
  void clear();

 private:
  int fd_;
};

}  // namespace workflows::storage::sqlite
