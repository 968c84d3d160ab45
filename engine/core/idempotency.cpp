#include "engine/core/idempotency.h"

#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/string_generator.hpp>
#include <boost/uuid/uuid_io.hpp>

namespace workflows::core {
namespace {

// Every part carries its length, so no two lists of parts read alike.
void append_part(std::string& text, std::string_view part) {
  text += std::to_string(part.size());
  text += ':';
  text += part;
}

}  // namespace

std::string idempotency_key(const Identity& identity, StepKind kind, std::string_view name, std::uint32_t occurrence) {
  static const boost::uuids::uuid namespace_id =
      boost::uuids::string_generator()("6f1d1f0e-9d0b-4c3e-8f5a-2b7c6e3a9d41");
  std::string text;
  append_part(text, identity.workflow);
  append_part(text, identity.id);
  append_part(text, std::to_string(identity.generation));
  append_part(text, std::to_string(identity.created.time_since_epoch().count()));
  append_part(text, to_string(kind));
  append_part(text, name);
  append_part(text, std::to_string(occurrence));
  return boost::uuids::to_string(boost::uuids::name_generator_sha1(namespace_id)(text));
}

}  // namespace workflows::core
