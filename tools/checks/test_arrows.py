"""Tests of arrows.py with the real table, arrows.toml."""

from __future__ import annotations

import arrows
from planted import Planted


class ArrowsTest(Planted):
    def include(self, path: str, *headers: str) -> None:
        self.plant(path, "".join(f"#include {h if h[0] in '<' else chr(34) + h + chr(34)}\n" for h in headers))

    def test_everything_that_is_allowed(self) -> None:
        self.include("core/base/fd.cc", "core/base/fd.h", "<vector>", "<unistd.h>", "<sys/stat.h>", "<fmt/format.h>")
        self.include("core/shm/memory.cc", "core/base/fd.h", "<boost/interprocess/mapped_region.hpp>")
        self.include("core/cache/writer.cc", "core/base/fd.h", "core/shm/memory.h")
        self.include("ipc/ring.h", "core/stats/counter.h", "ipc/control.capnp.h", "<capnp/message.h>")
        self.include("daemon/notify.cc", "core/cache/writer.h", "<systemd/sd-daemon.h>", "<spdlog/spdlog.h>")
        self.include("daemon/event_loop.h", "<systemd/sd-event.h>", "<toml++/toml.h>")
        self.include("tools/hearth/main.cc", "ipc/ring.h", "core/cache/reader.h", "<CLI/CLI.hpp>")
        self.include("tests/core/x_test.cc", "daemon/server.h", "<doctest/doctest.h>", "<boost/asio.hpp>")
        self.expect(arrows.check)

    def test_each_area_refuses_what_is_above_it(self) -> None:
        for path, header in (
            ("core/base/x.h", "core/shm/memory.h"), ("core/shm/x.h", "core/cache/format.h"),
            ("core/cache/x.h", "ipc/ring.h"), ("core/stats/x.h", "core/cache/format.h"),
            ("core/module/x.h", "core/shm/memory.h"), ("ipc/x.h", "core/cache/reader.h"),
            ("daemon/x.h", "tools/hearth/x.h"), ("tools/x.h", "daemon/server.h"),
            ("core/cache/y.h", "tests/support/x.h"),
        ):
            with self.subTest(path=path, header=header):
                self.include(path, "<vector>", header)
                self.expect(arrows.check, f"{path}:2: {path.rsplit('/', 1)[0]}/ may not include {header}")
                (self.root / path).unlink()

    def test_libraries_stay_where_they_belong(self) -> None:
        for path, header in (
            ("core/cache/x.h", "<boost/interprocess/mapped_region.hpp>"), ("core/base/x.h", "<boost/any.hpp>"),
            ("core/shm/x.h", "<capnp/message.h>"), ("core/base/x.h", "<kj/common.h>"),
            ("daemon/server.cc", "<systemd/sd-daemon.h>"), ("daemon/log.cc", "<systemd/sd-journal.h>"),
            ("ipc/x.h", "<systemd/sd-event.h>"), ("ipc/x.h", "<spdlog/spdlog.h>"),
            ("core/base/x.h", "<toml++/toml.h>"), ("ipc/x.h", "<CLI/CLI.hpp>"),
            ("core/stats/x.h", "<nlohmann/json.hpp>"), ("daemon/x.cc", "<doctest/doctest.h>"),
            ("daemon/x.cc", "<folly/FBString.h>"),
        ):
            with self.subTest(path=path, header=header):
                self.include(path, header)
                self.expect(arrows.check, f"{path}:1: ")
                (self.root / path).unlink()

    def test_the_client_reaches_the_readers_headers_and_not_the_writers(self) -> None:
        self.include("core/cache/reader.h", "core/cache/index.h")
        self.include("core/cache/index.h", "core/base/fd.h")
        self.include("ipc/client/x.h", "core/cache/reader.h", "core/cache/index.h", "ipc/ring.h",
                     "core/cache/writer.h", "core/cache/segment_log.h", "daemon/server.h")
        self.expect(arrows.check, *(f"ipc/client/x.h:{line}:" for line in (4, 5, 6)))

    def test_the_reader_must_not_drag_in_the_writer(self) -> None:
        self.include("core/cache/reader.h", "core/cache/index.h")
        self.include("core/cache/index.h", "core/cache/writer.h")
        self.expect(arrows.check, "core/cache/index.h:1: core/cache/writer.h is reached from ipc/client/")

    def test_includes_start_at_the_root_and_folders_have_rules(self) -> None:
        self.include("core/base/x.h", "fd.h")
        self.include("extra/x.h", "<vector>")
        self.expect(arrows.check, "not written from the root", "extra/x.h:1: C++ outside every area")

    def test_comments_are_not_code(self) -> None:
        self.plant("core/base/x.h", '// #include "daemon/server.h"\n// std::atomic, mmap(\n"std::atomic"\n')
        self.expect(arrows.check)

    def test_atomics_only_in_the_vocabulary(self) -> None:
        self.plant("core/base/atomic.h", "__atomic_load_n(&x, 0);\n")
        self.plant("tests/support/x.cc", "std::atomic<int> x;\n")
        self.expect(arrows.check)
        for code in ("#include <atomic>", "std::atomic<int> x;", "std::atomic_thread_fence(0);",
                     "__atomic_load_n(&x, 0);", "__sync_synchronize();", "std::memory_order_relaxed"):
            with self.subTest(code=code):
                self.plant("tests/core/x.cc", "\n" + code + "\n")
                self.expect(arrows.check, "tests/core/x.cc:2: atomic operation outside")

    def test_mapping_only_in_shm(self) -> None:
        self.plant("core/shm/x.cc", "::mmap(0); memfd_create(0);\n")
        self.plant("tests/x.cc", "::mmap(0);\n")
        self.plant("ipc/x.cc", "region.mmap(0); remmap(0);\n")
        self.expect(arrows.check)
        for call in ("::mmap(0)", "munmap(0)", "memfd_create(0)", "syscall(SYS_memfd_create)"):
            with self.subTest(call=call):
                self.plant("ipc/x.cc", call + ";\n")
                self.expect(arrows.check, "ipc/x.cc:1: mapping memory")

    def test_failpoints_are_armed_at_the_start_only(self) -> None:
        for path in ("daemon/main.cc", "tests/daemon/x.cc", "core/base/failpoint.cc"):
            self.plant(path, 'ArmFailpoints("x=kill"); SetFailpoint("x", [] {});\n')
        self.plant("daemon/x.cc", 'HEARTH_FAILPOINT("x");\n')
        self.expect(arrows.check)
        for call in ('ArmFailpoints("x=kill")', 'hearth::SetFailpoint("x", stop)'):
            with self.subTest(call=call):
                self.plant("daemon/x.cc", call + ";\n")
                self.expect(arrows.check, "daemon/x.cc:1: arming failpoints")


class GoArrowsTest(Planted):
    def setUp(self) -> None:
        super().setUp()
        self.plant("go-binding/go.mod", "module example.org/hearth\n\ngo 1.24\n")

    def test_what_is_allowed(self) -> None:
        self.plant("go-binding/internal/shm/x.go", 'package shm\n\nimport "unsafe"\n')
        self.plant("go-binding/x.go", 'package hearth\n\nimport (\n\t"os"\n\t"example.org/hearth/internal/shm"\n)\n')
        self.plant("go-binding/hearthtest/x.go", 'package hearthtest\n\nimport h "example.org/hearth"\n')
        self.expect(arrows.check)

    def test_internal_never_imports_the_root(self) -> None:
        self.plant("go-binding/internal/ring/x.go", 'package ring\n\nimport (\n\t"os"\n\th "example.org/hearth"\n)\n')
        self.expect(arrows.check, "go-binding/internal/ring/x.go:5: ")

    def test_unsafe_and_cgo(self) -> None:
        self.plant("go-binding/internal/ring/x.go", 'package ring\n\nimport "unsafe"\n')
        self.plant("go-binding/y.go", 'package hearth\n\nimport "C"\n')
        self.expect(arrows.check, 'import "unsafe"', 'import "C"')

    def test_the_core_module_requires_nothing(self) -> None:
        self.plant("go-binding/go.mod", "module example.org/hearth\n\nrequire example.org/x v1.0.0\n")
        self.expect(arrows.check, "go-binding/go.mod:3: this module may not require others")
