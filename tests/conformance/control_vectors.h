// The conformance vectors of the control channel: control.json, and the way from a packet to a line
// of it. README.md describes the file.
#ifndef HEARTH_TESTS_CONFORMANCE_CONTROL_VECTORS_H_
#define HEARTH_TESTS_CONFORMANCE_CONTROL_VECTORS_H_

#include <string>
#include <string_view>
#include <vector>

namespace hearth::conformance {

// A packet that a receiver must refuse.
struct HostilePacket {
  std::string why;
  bool to_daemon = false;
  std::string bytes;
};
std::vector<HostilePacket> MakeHostilePackets();

// Decodes a packet to the daemon (or to a client) and describes it as control.json does, on one
// line with every field; {"refused": reason} for one that the decoder does not accept.
std::string DescribePacket(bool to_daemon, std::string_view packet);

std::string ControlJson();

}  // namespace hearth::conformance

#endif  // HEARTH_TESTS_CONFORMANCE_CONTROL_VECTORS_H_
