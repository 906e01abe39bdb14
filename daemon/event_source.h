// EventSource: a registration in an sd-event loop as an owned value with a C++ callback.
#ifndef HEARTH_DAEMON_EVENT_SOURCE_H_
#define HEARTH_DAEMON_EVENT_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>

#include <systemd/sd-event.h>

#include "core/base/status.h"

namespace hearth::daemon {

// Move-only; destruction takes the registration away. Belongs to the loop's thread.
class EventSource {
 public:
  // Level-triggered; `callback` gets the epoll events.
  static Result<EventSource> Io(sd_event* loop, int fd, std::uint32_t events,
                                std::function<void(std::uint32_t)> callback);
  // Fires once after each Arm(). Takes all it needs now, so that Arm() works without descriptors.
  static Result<EventSource> Timer(sd_event* loop, std::function<void()> callback);
  // The signal must be blocked in all threads.
  static Result<EventSource> Signal(sd_event* loop, int signal, std::function<void()> callback);

  EventSource();
  EventSource(EventSource&& other) noexcept;
  EventSource& operator=(EventSource&& other) noexcept;
  ~EventSource();

  // Changes the events of an Io source.
  void SetEvents(std::uint32_t events);
  // Fires a Timer source `delay_us` from now.
  void Arm(std::uint64_t delay_us);

 private:
  struct Callbacks;
  explicit EventSource(std::unique_ptr<Callbacks> callbacks);
  std::unique_ptr<Callbacks> callbacks_;
  sd_event_source* source_ = nullptr;
};

}  // namespace hearth::daemon

#endif  // HEARTH_DAEMON_EVENT_SOURCE_H_
