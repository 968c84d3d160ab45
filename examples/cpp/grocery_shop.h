#pragma once
// Stands for the web service of a grocery shop: a file of what the shop has accepted, one line `WHAT KEY` each.
//
// Like a good service, it accepts a request once per idempotency key, and answers a repeated one as it answered the
// first.

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

class GroceryShop {
 public:
  explicit GroceryShop(std::filesystem::path file) : file_(std::move(file)) {}

  // Returns the number of the order.
  std::string order(const std::string& key) { return "order " + std::to_string(accept("order", key)); }
  // Returns the number of the receipt.
  std::string pay(const std::string& key) { return "receipt " + std::to_string(accept("payment", key)); }
  void refund(const std::string& key) { accept("refund", key); }
  void cancel(const std::string& key) { accept("cancellation", key); }

 private:
  // One customer at a time, also among processes; the door opens when it is destroyed, or with the process.
  class Door {
   public:
    explicit Door(const std::filesystem::path& file) : file_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
      if (file_ < 0 || ::flock(file_, LOCK_EX) != 0) throw std::runtime_error("cannot open the shop " + file.string());
    }
    ~Door() { ::close(file_); }
    Door(const Door&) = delete;
    Door& operator=(const Door&) = delete;

   private:
    int file_;
  };

  int accept(const std::string& what, const std::string& key) {
    const Door door(file_);
    std::ifstream accepted(file_);
    int number = 1;
    for (std::string its_what, its_key; accepted >> its_what >> its_key;) {
      if (its_what != what) continue;
      if (its_key == key) return number;
      ++number;
    }
    std::ofstream(file_, std::ios::app) << what + " " + key + "\n" << std::flush;
    return number;
  }

  std::filesystem::path file_;
};
