// Taking a request's payload apart: the fixed body at its front, and what follows.
#ifndef HEARTH_DAEMON_REQUEST_BODY_H_
#define HEARTH_DAEMON_REQUEST_BODY_H_

#include <cstring>
#include <string_view>

#include "core/base/status.h"

namespace hearth::daemon {

// Moves the fixed body from the front of a payload; false when the payload is shorter. The payload
// is the daemon's own copy.
template <class Body>
bool TakeBody(std::string_view* payload, Body* body) {
  if (payload->size() < sizeof(Body)) return false;
  std::memcpy(body, payload->data(), sizeof(Body));
  payload->remove_prefix(sizeof(Body));
  return true;
}

inline Status Malformed(std::string_view what) {
  return Error(Code::kInvalidArgument, "malformed request: {}", what);
}

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_REQUEST_BODY_H_
