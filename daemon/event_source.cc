#include "daemon/event_source.h"

#include <sys/signalfd.h>

#include <cstdint>
#include <utility>

namespace hearth::daemon {

struct EventSource::Callbacks {
  std::function<void(std::uint32_t)> io;
  std::function<void()> plain;
};

EventSource::EventSource(std::unique_ptr<Callbacks> callbacks) : callbacks_(std::move(callbacks)) {}

EventSource::EventSource() = default;

EventSource::EventSource(EventSource&& other) noexcept
    : callbacks_(std::move(other.callbacks_)), source_(std::exchange(other.source_, nullptr)) {}

EventSource& EventSource::operator=(EventSource&& other) noexcept {
  std::swap(callbacks_, other.callbacks_);
  std::swap(source_, other.source_);
  return *this;
}

EventSource::~EventSource() {
  if (source_ != nullptr) ::sd_event_source_disable_unref(source_);
}

Result<EventSource> EventSource::Io(sd_event* loop, int fd, std::uint32_t events,
                                    std::function<void(std::uint32_t)> callback) {
  EventSource source(std::make_unique<Callbacks>(Callbacks{std::move(callback), {}}));
  // The callback may end the source's owner, and with it the callback: a copy runs.
  auto run = [](sd_event_source*, int, std::uint32_t revents, void* userdata) {
    const auto io = static_cast<Callbacks*>(userdata)->io;
    io(revents);
    return 0;
  };
  const int rc = ::sd_event_add_io(loop, &source.source_, fd, events, run, source.callbacks_.get());
  if (rc < 0) return ErrnoStatus(-rc, "cannot watch a descriptor");
  return source;
}

Result<EventSource> EventSource::Timer(sd_event* loop, std::function<void()> callback) {
  EventSource source(std::make_unique<Callbacks>(Callbacks{{}, std::move(callback)}));
  auto run = [](sd_event_source*, std::uint64_t, void* userdata) {
    const auto plain = static_cast<Callbacks*>(userdata)->plain;
    plain();
    return 0;
  };
  int rc = ::sd_event_add_time(loop, &source.source_, CLOCK_MONOTONIC, 0, 0, run,
                               source.callbacks_.get());
  if (rc >= 0) rc = ::sd_event_source_set_enabled(source.source_, SD_EVENT_OFF);
  if (rc < 0) return ErrnoStatus(-rc, "cannot make a timer");
  return source;
}

Result<EventSource> EventSource::Signal(sd_event* loop, int signal,
                                        std::function<void()> callback) {
  EventSource source(std::make_unique<Callbacks>(Callbacks{{}, std::move(callback)}));
  auto run = [](sd_event_source*, const signalfd_siginfo*, void* userdata) {
    const auto plain = static_cast<Callbacks*>(userdata)->plain;
    plain();
    return 0;
  };
  const int rc = ::sd_event_add_signal(loop, &source.source_, signal, run, source.callbacks_.get());
  if (rc < 0) return ErrnoStatus(-rc, "cannot watch a signal");
  return source;
}

void EventSource::SetEvents(std::uint32_t events) {
  if (source_ != nullptr) ::sd_event_source_set_io_events(source_, events);
}

void EventSource::Arm(std::uint64_t delay_us) {
  ::sd_event_source_set_time_relative(source_, delay_us);
  ::sd_event_source_set_enabled(source_, SD_EVENT_ONESHOT);
}

}  // namespace hearth::daemon
