// TestServer: just enough of a daemon, in a thread, to test the C++ client against: the real pieces
// of ipc/ and a real store, one session at a time, and knobs for behaving badly.
#ifndef HEARTH_TESTS_IPC_TEST_SERVER_H_
#define HEARTH_TESTS_IPC_TEST_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/atomic.h"
#include "core/base/fd.h"
#include "core/cache/store.h"
#include "core/cache/writer.h"
#include "ipc/control_message.h"
#include "ipc/control_socket.h"
#include "ipc/message.h"
#include "ipc/session_region.h"

namespace hearth::ipc {

class TestServer {
 public:
  struct Options {
    std::uint32_t ring_bytes = kMinRingBytes;
    std::uint64_t max_message_bytes = 4U << 20U;
    std::optional<ErrorReply> refuse;    // answers every Hello with this
    std::uint16_t welcome_channels = 1;  // what Welcome claims
    bool wrong_region = false;           // passes an eventfd instead
    std::uint32_t touch_entries = 0;
    std::uint32_t pins = 0;
    // Answers kOpCall; the default echoes.
    std::function<std::string(const std::string& request)> call;
  };

  TestServer() : TestServer(Options{}) {}
  explicit TestServer(Options options);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  // A negative entry that is there from the start, for an hour.
  static constexpr std::string_view kAbsentKey = "known absent";

  const std::string& path() const { return path_; }
  std::uint16_t namespace_id() const { return namespace_id_; }

  // While held, requests stay in the ring (or, with `answers`, are executed and their answers
  // withheld).
  void HoldRequests(bool hold) { Command(hold ? 'h' : 'g'); }
  void HoldAnswers(bool hold) { Command(hold ? 'a' : 'b'); }
  // Ends the session: with a goodbye, or by closing the socket as a dying daemon does.
  void EndOrderly() { Command('e'); }
  void EndAbruptly() { Command('x'); }
  // Writes nonsense where the client looks for answers.
  void BreakResponses() { Command('r'); }

  // What the touch buffer of the session holds that is not 0.
  std::vector<std::uint64_t> Touches() {
    Command('t');
    return touches_;
  }
  const cache::StoreView& store_view() const { return store_.view(); }

  // Counters, for what a client cannot see.
  std::uint64_t cancels() const { return cancels_.LoadRelaxed(); }
  std::uint64_t credits() const { return credits_.LoadRelaxed(); }
  std::uint64_t executed() const { return executed_.LoadRelaxed(); }

 private:
  struct Session;

  void Run();
  // Tells the thread, and waits until it has obeyed.
  void Command(char what);
  void Obey(char what);
  void Accept();
  void ReadControl();
  Status Welcome(const Hello& hello, std::uint32_t request_id);
  Status Answer(std::uint32_t request_id, const ClientMessage& message);
  void Say(std::uint32_t request_id, decltype(ServerMessage::body) body);
  // True when it did something.
  bool Serve();
  Status Execute(const RequestHeader& request, const std::string& payload);
  Status Reply(const RequestHeader& request, const Status& status, std::string_view payload,
               const cache::ReadResult* read, std::uint64_t version, std::int64_t number = 0);
  void End(const Status& reason);

  Options options_;
  std::vector<std::uint64_t> touches_;
  std::string directory_;
  std::string path_;
  cache::Store store_;
  std::unique_ptr<cache::StoreWriter> writer_;
  std::uint16_t namespace_id_ = 0;
  std::optional<ControlListener> listener_;
  std::optional<ControlSocket> socket_;
  std::unique_ptr<Session> session_;
  Pipe commands_;
  Pipe obeyed_;
  bool hold_requests_ = false;
  bool hold_answers_ = false;
  bool stop_ = false;
  Atomic<std::uint64_t> cancels_{0};
  Atomic<std::uint64_t> credits_{0};
  Atomic<std::uint64_t> executed_{0};
  std::thread thread_;
};

}  // namespace hearth::ipc

#endif  // HEARTH_TESTS_IPC_TEST_SERVER_H_
