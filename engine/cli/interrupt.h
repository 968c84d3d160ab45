#pragma once
// Ctrl-C and SIGTERM while a command follows: it ends in order, so that the database is closed as it was found.

namespace workflows::cli {

class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Since this began. The exit code that says so; 0: none came.
  static int exit_code();

 private:
  void (*before_int_)(int);
  void (*before_term_)(int);
};

}  // namespace workflows::cli
