"""Tests of the tree, labels, length, hygiene, format and vet checkers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import formatted
import govet
import hygiene
import length
import sync_labels
from planted import HEADER, Planted
from tree import Tree

HERE = Path(__file__).resolve().parent
LATER = "TO" + "DO"  # spelled so that hygiene does not find it here


class TreeTest(Planted):
    def test_git_lists_untracked_files_but_not_ignored_or_deleted_ones(self) -> None:
        subprocess.run(["git", "init", "-q", str(self.root)], check=True)
        for path in ("kept.h", "ignored.h", "deleted.h"):
            self.plant(path, HEADER)
        self.plant(".gitignore", "ignored.h\n")
        subprocess.run(["git", "-C", str(self.root), "add", "deleted.h"], check=True)
        (self.root / "deleted.h").unlink()
        self.assertEqual(Tree(self.root).paths, [".gitignore", "kept.h"])

    def test_without_git_the_build_folders_are_left_out(self) -> None:
        self.plant("build-asan/x.h", HEADER)
        self.plant("core/build/x.h", HEADER)
        self.assertEqual(Tree(self.root).paths, ["core/build/x.h"])

    def test_comments_and_literals_are_blanked_and_lines_kept(self) -> None:
        self.plant("x.cc", 'a("// no comment"); // b\n/* c\n*/ d(1\'000, \'"\', R"x("e)x"); f\n')
        code = Tree(self.root).code("x.cc")
        self.assertEqual(code.count("\n"), 3)
        self.assertEqual(code.split(), ["a(", ");", "d(1'000,", ",", ");", "f"])


class SyncLabelsTest(Planted):
    def test_paired_across_languages(self) -> None:
        self.plant("ipc/x.cc", "// SYNC release tail: the record\ntail_.StoreRelease(1);\n")
        self.plant("go-binding/x.go", "// SYNC acquire tail: the record\n")
        self.plant("go-binding/y_amd64.s", "// SYNC acquire fence.x: body\n")
        self.plant("ipc/z.cc", "ReleaseFence();  // SYNC release fence.x: body\n")
        self.expect(sync_labels.check)

    def test_a_side_is_missing(self) -> None:
        self.plant("ipc/x.cc", "// SYNC release tail: the record\n")
        self.plant("ipc/y.cc", "// SYNC acquire head: the space\n")
        self.plant("ipc/z.cc", "// SYNC both sleep: word and flag\n")
        self.expect(sync_labels.check, "SYNC tail has no acquire side", "SYNC head has no release side",
                    "SYNC sleep has no second 'both' side")

    def test_a_test_does_not_complete_a_pair_of_the_product(self) -> None:
        self.plant("ipc/x.cc", "// SYNC release tail: the record\n")
        self.plant("tests/x.cc", "// SYNC acquire tail: the record\n")
        self.plant("go-binding/x_test.go", "// SYNC acquire tail: the record\n")
        self.expect(sync_labels.check, "ipc/x.cc:1: SYNC tail has no acquire side")

    def test_malformed(self) -> None:
        self.plant("ipc/x.cc", "// SYNC relase tail: x\n// SYNC release: x\n"
                   "// SYNC release tail:\n// SYNC labels are fine\n")
        self.expect(sync_labels.check, ":1: malformed", ":2: malformed", ":3: malformed")

    def test_every_operation_needs_a_label_in_reach(self) -> None:
        pair = "// SYNC both x: a\n// SYNC both x: b\n"
        far = "\n" * 8
        for call in ("a.StoreRelease(1)", "p->LoadAcquire()", "a.StoreOrdered(1)", "a.LoadOrdered()",
                     "a.ExchangeOrdered(1)", "a.CompareExchangeOrdered(1, 2)",
                     "AcquireFence()", "ReleaseFence()", "OrderedFence()"):
            with self.subTest(call=call):
                self.plant("core/shm/x.cc", pair + "\n" * 5 + f"{call};\n")
                self.expect(sync_labels.check)
                self.plant("core/shm/x.cc", pair + far + f"{call};\n")
                self.expect(sync_labels.check, "core/shm/x.cc:11: ")

    def test_the_label_must_fit_the_operation(self) -> None:
        self.plant("core/shm/x.cc", "a.LoadAcquire();  // SYNC release x: a\n" + "\n" * 7 +
                   "a.StoreRelease(1);  // SYNC acquire x: a\n")
        self.expect(sync_labels.check, "LoadAcquire is labelled SYNC release", "StoreRelease is labelled SYNC acquire")

    def test_tests_and_the_vocabulary_are_free(self) -> None:
        self.plant("core/base/atomic.h", "// SYNC release NAME: what\nOrderedFence();\n")
        self.plant("tests/x.cc", "a.LoadAcquire();\n")
        self.expect(sync_labels.check)


class LengthTest(Planted):
    def cpp(self, lines: int, head: str = "int Long(int a) {") -> str:
        return HEADER + "namespace n {\n" + head + "\n" + "  x();\n" * (lines - 2) + "}\n}\n"

    def test_the_limits_themselves_are_fine(self) -> None:
        self.plant("a.cc", self.cpp(70))
        self.plant("b.cc", "// x\n" * 400)
        self.expect(length.check)

    def test_long_cpp_functions_of_every_shape(self) -> None:
        for head, name in (
            ("int Long(int a) {", "Long"), ("Result<T> A::Long(\n    int a,\n    int b = 3) const {", "A::Long"),
            ("A::A(int a)\n    : a_(a),\n      b_{1, 2} {", "A::A"), ("bool operator==(const A& a) {", "operator=="),
            ('TEST_CASE("long { case") {', 'TEST_CASE("long { case")'), ("template <class T>\nT Long(T a) {", "Long"),
        ):
            with self.subTest(head=head):
                self.plant("a.cc", self.cpp(72 - head.count("\n"), head))
                self.expect(length.check, f"a.cc:3: function {name} has 72 lines, over 70")

    def test_what_is_no_function(self) -> None:
        for head in ("namespace m {", "class A : public B<C()> {", "constexpr int kTable[] = {", "const auto kF = F({"):
            with self.subTest(head=head):
                self.plant("a.cc", self.cpp(90, head))
                self.expect(length.check)

    def test_methods_inside_a_class(self) -> None:
        body = "class A {\n public:\n  void Long() {\n" + "    x();\n" * 80 + "  }\n  int y_ = 0;\n};\n"
        self.plant("a.h", HEADER + body)
        self.expect(length.check, "a.h:4: function Long has 82 lines")

    def test_go_python_and_shell(self) -> None:
        self.plant("a.go", "package a\n\nfunc Asm(x int)\n\nfunc (r *R[T]) Long() {\n" + "\tx()\n" * 69 + "}\n")
        self.plant("b.py", "def long():\n" + "    x()\n" * 70)
        self.plant("c", "#!/usr/bin/env bash\nlong() {\n" + "  x\n" * 69 + "}\n")
        self.expect(length.check, "a.go:5: function R.Long has 71", "b.py:1: function long has 71",
                    "c:2: function long has 71")

    def test_long_files(self) -> None:
        self.plant("a.cc", "// x\n" * 401)
        self.plant("b_gen.go", "// x\n" * 401)
        self.plant("c.capnp.h", "// x\n" * 401)
        self.plant("go-binding/testdata/d.go", "// x\n" * 401)
        self.expect(length.check, "a.cc:1: file has 401 lines, over 400")

    def test_the_ratchet(self) -> None:
        self.plant("a.cc", self.cpp(100))
        self.plant(length.ALLOW, "# reasons\na.cc:Long 100\n")
        self.expect(length.check)
        self.plant("a.cc", self.cpp(101))
        self.expect(length.check, "a.cc:3: function Long grew from 100 to 101")
        self.plant("a.cc", self.cpp(90))
        self.expect(length.check)
        self.plant("a.cc", self.cpp(89))
        self.expect(length.check, "length.allow:2: a.cc:Long has shrunk to 89 lines: lower 100 to 89")
        self.plant("a.cc", self.cpp(20))
        self.expect(length.check, "length.allow:2: a.cc:Long needs no entry any more")


class HygieneTest(Planted):
    def test_markers(self) -> None:
        self.plant("core/x.h", HEADER + f"// {LATER}: later\n")
        self.plant("docs/x.txt", f"{LATER}\n")
        self.plant("tools/x.txt", "mktemp /tmp/XXXXXX\n")
        self.expect(hygiene.check, f"core/x.h:2: marker {LATER}")

    def test_machine_paths(self) -> None:
        self.plant("docs/a.txt", "see " + str(self.root) + "/core\n")
        self.plant("docs/b.txt", "see /" + "home/me/hearth and $ROOT/" + "home/me/x\n")
        self.expect(hygiene.check, "docs/a.txt:1: absolute path", "docs/b.txt:1: absolute path")

    def test_headers_start_with_a_comment(self) -> None:
        self.plant("core/x.h", "#pragma once\n")
        self.plant("core/y.h", HEADER)
        self.expect(hygiene.check, "core/x.h:1: header does not start with a comment")

    def test_package_comments(self) -> None:
        self.plant("go-binding/a/doc.go", "// Package a does it.\npackage a\n")
        self.plant("go-binding/a/more.go", "package a\n")
        self.plant("go-binding/b/b.go", "// A licence.\n\npackage b\n")
        self.expect(hygiene.check, "go-binding/b/b.go:1: Go package without a package comment")

    def test_shell_scripts(self) -> None:
        good = "#!/usr/bin/env bash\n# What it does.\n\nset -euo pipefail\n"
        self.plant("tools/good", good, 0o755)
        self.plant("tools/lax", "#!/bin/bash\ncd /\nset -euo pipefail\n", 0o755)
        self.plant("tools/posix", "#!/bin/sh\nset -eu\n", 0o755)
        self.plant("tools/still", good)
        self.expect(hygiene.check, "tools/lax:2: does not start with set -euo pipefail",
                    "tools/posix:1: shell script that is not for bash", "tools/still:1: script is not executable")

    def test_links(self) -> None:
        self.plant("docs/a.md", "[x](b.md#part) [y](../core) [z](https://example.org/q) [w](#here)\n"
                   "```\n[no](link)\n```\n[gone](c.md)\n")
        self.plant("docs/b.md", "![gone](picture.svg)\n")
        self.plant("core/x.h", HEADER)
        self.expect(hygiene.check, "docs/a.md:5: dead link c.md", "docs/b.md:1: dead link picture.svg")


class FormatTest(Planted):
    def test_cpp(self) -> None:
        self.plant(".clang-format", (HERE.parents[1] / ".clang-format").read_text(encoding="utf-8"))
        self.plant("good.cc", "int main() { return 0; }\n")
        self.plant("bad.cc", "int x;\nint   main() {return 0;}\n")
        tree = Tree(self.root)
        found = formatted.check_cpp(tree, ["good.cc", "bad.cc"], fix=False)
        self.assertEqual([(f.path, f.line) for f in found], [("bad.cc", 2)])
        formatted.check_cpp(tree, ["bad.cc"], fix=True)
        self.assertEqual(formatted.check_cpp(tree, ["bad.cc"], fix=False), [])

    def test_go(self) -> None:
        self.plant("good.go", "package a\n\nvar x = 1\n")
        self.plant("bad.go", "package a\nvar   x=1\n")
        found = formatted.check_go(Tree(self.root), ["good.go", "bad.go"], fix=False)
        self.assertEqual([f.path for f in found], ["bad.go"])


class GoVetTest(Planted):
    def test_each_module_is_vetted(self) -> None:
        self.plant("empty/go.mod", "module example.org/empty\n\ngo 1.24\n")
        for name, argument in (("good", "1"), ("bad", '"x"')):
            self.plant(f"{name}/go.mod", f"module example.org/{name}\n\ngo 1.24\n")
            self.plant(f"{name}/sub/x.go", "// Package sub is vetted.\npackage sub\n\nimport \"fmt\"\n\n"
                       f"func f() { '{' } fmt.Printf(\"%d\", {argument}) { '}' }\n")
        self.plant("odd/go.mod", "no module\n")
        self.plant("odd/x.go", "package odd\n")
        self.plant("good/sub/y_arm64.go", "package sub\n\nvar y int = \"arm\"\n")
        self.expect(govet.check, "bad/sub/x.go:6: go vet: fmt.Printf", "good/sub/y_arm64.go:3: go vet arm64: cannot use",
                    "odd/go.mod:1: go vet: go: errors parsing")
