#pragma once

#include <memory>
#include <utility>

#include <pybind11/pybind11.h>

#include <workflows/client.h>

#include "owned.h"

namespace workflows::python {

// A Client of its own, or the one that belongs to a Host (which then must outlive this; the binding sees to it).
class ClientView {
 public:
  explicit ClientView(std::unique_ptr<Client> own) : own_(std::move(own)), client_(&*own_) {}
  explicit ClientView(Client& of_host) : own_(nullptr), client_(&of_host) {}

  // Calls `use(client)` without the GIL.
  template <class Use>
  auto read(Use use) {
    const pybind11::gil_scoped_release unlocked;
    return use(*client_);
  }

 private:
  Owned<Client> own_;
  Client* client_;
};

}  // namespace workflows::python
