#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/tidy: each rule finds what it is for, and leaves alone what it is not for."""

import pathlib
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TOOLS))
sys.dont_write_bytecode = True

from velo_tidy import limits, openings, saturation, shape, tree  # noqa: E402
from velo_tidy.main import Rules, check_source, check_tree, lower_ratchet  # noqa: E402
from velo_tidy.source import Finding, Source  # noqa: E402

RULES = Rules(TOOLS.parent)
HEADER = "// SPDX-License-Identifier: Apache-2.0\n// A thing.\n// Threading: none.\n#pragma once\n"
OPENING = "// SPDX-License-Identifier: Apache-2.0\n// A thing.\n"


def messages(path, body):
    opening = HEADER if path.endswith(".hpp") else OPENING
    return [finding.message for finding in check_source(Source(path, opening + body), RULES)]


class CodeWithoutLiterals(unittest.TestCase):
    def test_comments_strings_and_characters_are_blanked_and_lines_stay(self):
        text = 'int a; // sleep(1)\n/* x\n y */ char c = \'"\'; auto s = "throw \\" x"; auto r = R"z(throw\n)" )z"; int b;\n'
        code = Source("src/base/src/x.cpp", text).code
        self.assertEqual(code.count("\n"), text.count("\n"))
        self.assertNotIn("throw", code)
        self.assertNotIn("sleep", code)
        self.assertIn("int b;", code)

    def test_digit_separators_do_not_open_a_literal(self):
        code = Source("src/base/src/x.cpp", "int a = 1'000'000; throw x; int b = 2'0;").code
        self.assertIn("throw x", code)


class LayerRules(unittest.TestCase):
    def assert_refused(self, path, include, word="layer violation"):
        found = messages(path, f"#include <{include}>\n")
        self.assertTrue(any(word in message for message in found), (path, include, found))

    def assert_accepted(self, path, include):
        self.assertEqual(messages(path, f"#include <{include}>\n"), [], (path, include))

    def test_downward_includes_are_accepted(self):
        self.assert_accepted("src/messenger/src/x.cpp", "velo/transport/transport.hpp")
        self.assert_accepted("src/codec/include/velo/codec/x.hpp", "velo/base/bytes.hpp")
        self.assert_accepted("apps/cli/main.cpp", "velo/messenger/messenger.hpp")

    def test_upward_includes_are_refused(self):
        self.assert_refused("src/base/src/x.cpp", "velo/codec/value.hpp")
        self.assert_refused("src/transport/src/x.cpp", "velo/messenger/messenger.hpp")
        self.assert_refused("src/messenger/src/x.cpp", "velo/velo.hpp")

    def test_siblings_never_include_each_other_not_even_in_tests(self):
        self.assert_refused("src/runtime/src/x.cpp", "velo/sim/world.hpp")
        self.assert_refused("src/transport/src/x_test.cpp", "velo/discovery/directory.hpp")

    def test_worlds_are_for_tests_above_their_layer(self):
        self.assert_refused("src/messenger/src/x.cpp", "velo/sim/world.hpp")
        self.assert_accepted("src/messenger/src/x_test.cpp", "velo/sim/world.hpp")
        self.assert_accepted("src/velo/src/x.cpp", "velo/runtime/world.hpp")

    def test_backends_are_named_only_by_composition_and_tests(self):
        tcp = "velo/transport/backends/tcp.hpp"
        self.assert_refused("src/messenger/src/x.cpp", tcp, "name a backend")
        self.assert_refused("src/transport/src/x.cpp", tcp, "do")
        self.assert_refused("src/transport/backends/uds/src/x.cpp", tcp, "backends never include each other")
        self.assert_accepted("src/transport/backends/tcp/src/x.cpp", tcp)
        self.assert_accepted("src/velo/src/x.cpp", tcp)
        self.assert_accepted("src/messenger/src/x_test.cpp", tcp)

    def test_relative_includes_and_unknown_rooms_are_refused(self):
        found = messages("src/codec/src/x.cpp", '#include "../../base/src/secret.hpp"\n')
        self.assertTrue(any("leaves its directory" in message for message in found), found)
        self.assertTrue(any("layers.toml" in message for message in messages("src/nowhere/src/x.cpp", "")))


class BanRules(unittest.TestCase):
    def assert_banned(self, path, line, name):
        found = messages(path, line + "\n")
        self.assertTrue(any(f"banned ({name})" in message for message in found), (path, line, found))

    def assert_free(self, path, line):
        self.assertEqual(messages(path, line + "\n"), [], (path, line))

    def test_clocks(self):
        for line in ("auto t = std::chrono::steady_clock::now();", "::clock_gettime(0, &t);", "auto t = time(nullptr);"):
            self.assert_banned("src/messenger/src/x.cpp", line, "clock")
            self.assert_banned("src/messenger/src/x_test.cpp", line, "clock")
            self.assert_free("src/runtime/src/x.cpp", line)
            self.assert_free("bench/x.cpp", line)
        self.assert_free("src/messenger/src/x.cpp", "auto t = clock.now();")
        self.assert_free("src/messenger/src/x.cpp", "// steady_clock::now() is banned here")

    def test_sleeps(self):
        for line in ("std::this_thread::sleep_for(x);", "usleep(3);", "sleep(1);", "::sleep(1);"):
            self.assert_banned("src/messenger/src/x_test.cpp", line, "sleep")
            self.assert_banned("tests/integration/x_test.cpp", line, "sleep")
            self.assert_free("src/runtime/src/x.cpp", line)
        self.assert_free("src/sim/src/x.cpp", "world.sleep(3s);")

    def test_randomness(self):
        for line in ("std::random_device d;", "int x = rand();", "int x = std::rand();", "RAND_bytes(a, b);"):
            self.assert_banned("src/codec/src/x.cpp", line, "randomness")
            self.assert_banned("src/codec/src/x_test.cpp", line, "randomness")
            self.assert_free("src/sim/src/x.cpp", line)
        self.assert_banned("src/codec/src/x.cpp", "std::mt19937 engine(7);", "random engine")
        self.assert_free("src/codec/src/x_test.cpp", "std::mt19937 engine(7);")
        self.assert_free("src/codec/src/x.cpp", "auto x = world.random().next(); operand(x);")

    def test_threads(self):
        for line in ("std::thread t;", "std::jthread t{f};", "auto f = std::async(g);"):
            self.assert_banned("src/messenger/src/x.cpp", line, "thread")
            self.assert_free("src/messenger/src/x_test.cpp", line)
            self.assert_free("src/runtime/src/x.cpp", line)
        self.assert_free("src/base/src/x.cpp", "std::thread::id owner = std::this_thread::get_id();")

    def test_asio_stays_in_its_adapter_and_in_backends(self):
        asio = "#include <boost/asio/io_context.hpp>"
        self.assert_banned("src/messenger/src/x.cpp", asio, "asio")
        self.assert_banned("src/transport/backends/http/include/velo/transport/backends/http.hpp", asio, "asio")
        self.assert_free("src/velo/include/velo/asio.hpp", asio)
        self.assert_free("src/transport/backends/http/src/http.cpp", asio)
        self.assert_free("examples/asio_ping.cpp", asio)

    def test_third_party_headers_stay_out_of_public_headers(self):
        line = "#include <openssl/evp.h>"
        self.assert_banned("src/runtime/include/velo/runtime/x.hpp", line, "third party in a public header")
        self.assert_free("src/runtime/src/x.cpp", line)

    def test_coroutines_stay_above_the_rooms(self):
        self.assert_banned("src/messenger/src/x.cpp", "co_await op;", "coroutine")
        self.assert_banned("src/messenger/src/x.cpp", "co_return 1;", "coroutine")
        self.assert_free("src/messenger/src/x_test.cpp", "co_await op;")
        self.assert_free("src/base/include/velo/base/task.hpp", "co_await op;")
        self.assert_free("examples/x.cpp", "co_await op;")

    def test_throw_but_not_rethrow(self):
        self.assert_banned("src/codec/src/x.cpp", "throw std::runtime_error(s);", "throw")
        self.assert_free("src/codec/src/x.cpp", "try { throw; } catch (...) {}")
        self.assert_free("src/codec/src/x_test.cpp", "throw 1;")

    def test_anonymous_namespaces_asserts_and_consoles(self):
        self.assert_banned("src/codec/src/x.cpp", "namespace {\n}", "anonymous namespace")
        self.assert_free("src/codec/src/x.cpp", "namespace velo::codec {\n}")
        self.assert_banned("src/codec/src/x.cpp", "assert(x);", "assert")
        self.assert_free("src/codec/src/x.cpp", "static_assert(x);")
        self.assert_banned("src/codec/src/x.cpp", "std::cerr << 1;", "console")
        self.assert_free("apps/cli/x.cpp", "std::cerr << 1;")

    def test_pointer_order(self):
        self.assert_banned("src/sim/src/x.cpp", "std::hash<Node*> h;", "hash of a pointer")
        self.assert_banned("src/sim/src/x.cpp", "std::map<const Node*, int> m;", "hash of a pointer")
        self.assert_free("src/sim/src/x.cpp", "std::map<int, Node*> m;")

    def test_unfinished_work_is_found_in_comments(self):
        self.assert_banned("src/sim/src/x.cpp", "// TO" + "DO later", "unfinished")

    def test_keeping_oneself_alive_needs_a_reason(self):
        found = messages("src/runtime/src/x.cpp", "class A : std::enable_shared_from_this<A> {};\n")
        self.assertTrue(any("// why:" in message for message in found), found)
        self.assert_free("src/runtime/src/x.cpp", "// why: the kernel holds it until the callback\nclass A : std::enable_shared_from_this<A> {};")


class Openings(unittest.TestCase):
    def check(self, path, text):
        return [finding.message for finding in openings.check_opening(Source(path, text))]

    def test_a_header_names_licence_purpose_threads_and_pragma(self):
        self.assertEqual(self.check("src/base/include/velo/base/x.hpp", HEADER), [])
        self.assertIn("first line", self.check("x.hpp", "#pragma once\n")[0])
        self.assertIn("Threading", self.check("x.hpp", HEADER.replace("// Threading: none.", "// More."))[0])
        self.assertIn("pragma", self.check("x.hpp", HEADER.replace("#pragma once\n", ""))[0])
        long_opening = HEADER.replace("// A thing.\n", "// A thing.\n" * 9)
        self.assertIn("2 to 8", self.check("src/base/include/x.hpp", long_opening)[0])
        self.assertEqual([], self.check("src/base/src/x.hpp", long_opening))

    def test_a_source_names_licence_and_purpose(self):
        self.assertEqual(self.check("x.cpp", OPENING), [])
        self.assertIn("second line", self.check("x.cpp", OPENING.splitlines()[0] + "\nint x;\n")[0])

    def test_paths_of_one_machine_and_paths_out_of_the_tree(self):
        def check(path, text):
            return [finding.message for finding in openings.check_paths(Source(path, text))]

        self.assertTrue(check("README.md", "see /ho" + "me/me/x"))
        self.assertTrue(check("README.md", "see ../shared"))
        self.assertTrue(check("docs/guides/x.md", "see ../../../x"))
        self.assertFalse(check("docs/guides/x.md", "see ../../README.md and https://x.org/work/x"))
        self.assertFalse(check("src/base/src/x_test.cpp", 'open("../../../etc");'))

    def test_rooms_have_a_readme_of_one_page(self):
        with tempfile.TemporaryDirectory() as root:
            room = pathlib.Path(root) / "src" / "base"
            room.mkdir(parents=True)
            self.assertTrue(list(openings.check_readmes(root, {"src/base/src/x.cpp"}, Finding)))
            paths = {"src/base/src/x.cpp", "src/base/README.md"}
            (room / "README.md").write_text("# base\n")
            self.assertFalse(list(openings.check_readmes(root, paths, Finding)))
            (room / "README.md").write_text("line\n" * 200)
            self.assertTrue(list(openings.check_readmes(root, paths, Finding)))


class Sizes(unittest.TestCase):
    def sizes(self, body):
        return [(name, size) for name, _, size in shape.functions(Source("src/base/src/x.cpp", body))]

    def test_functions_are_found_inside_namespaces_and_classes(self):
        body = (
            "namespace velo::x {\nstruct A : B<int> {\n  int f() const {\n    return 1;\n  }\n};\n"
            "template <class T>\nvoid g(T t) noexcept {\n  auto l = [] {\n  };\n}\n"
            "A::A(int x) : b_{x} {\n  if (x) {\n  }\n}\n}\nenum class E { a, b };\n"
        )
        found = self.sizes(body)
        self.assertIn(("f", 3), found)
        self.assertIn(("g", 4), found)
        self.assertEqual(max(size for _, size in found), 4)

    def test_functions_that_take_or_return_structs_are_no_containers(self):
        body = "int bind_to(const struct sockaddr* a) {\n  return 1;\n}\nstruct tm* f(int a) {\n  return 0;\n}\n"
        self.assertIn(("bind_to", 3), self.sizes(body))

    def test_tests_are_named_by_suite_and_case(self):
        self.assertEqual(self.sizes("TEST(Bytes, Share) {\n}\n"), [("Bytes.Share", 2)])

    def test_long_functions_are_refused_and_the_ratchet_excuses_only_its_size(self):
        source = Source("src/base/src/x.cpp", "void f() {\n" + "  g();\n" * 80 + "}\n")
        key = "src/base/src/x.cpp:f"
        check = lambda allowed: list(shape.check_function_sizes(source, shape.Ratchet(functions=allowed)))  # noqa: E731
        self.assertTrue(check({}))
        self.assertTrue(check({key: 81}))
        self.assertFalse(check({key: 82}))
        self.assertIn("--ratchet", check({key: 83})[0].message)

    def test_file_sizes(self):
        def check(lines, allowed=None):
            ratchet = shape.Ratchet(files={"src/base/src/x.cpp": allowed} if allowed else {})
            return list(shape.check_file_size(Source("src/base/src/x.cpp", "\n" * lines), ratchet))

        self.assertFalse(check(400))
        self.assertTrue(check(401))
        self.assertFalse(check(450, 450))
        self.assertTrue(check(451, 450))
        self.assertIn("--ratchet", check(449, 450)[0].message)
        self.assertIn("800", check(900, 900)[0].message)

    def test_python_functions_count_too(self):
        source = Source("tools/x.py", "def f():\n    return 1\n")
        self.assertEqual(shape.functions(source), [("f", 1, 2)])

    def test_blobs(self):
        self.assertIsNone(shape.check_blob("x", 200 * 1024))
        self.assertIn("KiB", shape.check_blob("x", 200 * 1024 + 1))


class Tree(unittest.TestCase):
    def setUp(self):
        self._directory = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self._directory.name)
        self.addCleanup(self._directory.cleanup)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def test_without_git_everything_outside_build_is_listed(self):
        self.write("src/a.cpp", "")
        self.write("build/b.cpp", "")
        self.assertEqual(tree.files(self.root), ["src/a.cpp"])

    def test_findings_carry_path_and_line_and_stale_ratchets_are_found(self):
        self.write("src/base/README.md", "# base\n")
        self.write("src/base/src/x.cpp", OPENING + "int x;\nusleep(1);\n")
        rules = Rules(TOOLS.parent)
        rules.ratchet = shape.Ratchet(files={"src/base/src/gone.cpp": 500})
        found = [str(finding) for finding in check_tree(self.root, rules)]
        self.assertTrue(any(text.startswith("src/base/src/x.cpp:4: banned (sleep)") for text in found), found)
        self.assertTrue(any("gone.cpp is gone" in text for text in found), found)

    def test_the_ratchet_only_goes_down(self):
        self.write("src/base/src/x.cpp", OPENING + "int x;\n" * 500)
        self.write("src/base/src/y.cpp", OPENING + "int x;\n" * 600)
        (self.root / "tools").mkdir()
        rules = Rules(TOOLS.parent)
        rules.ratchet = shape.Ratchet(files={"src/base/src/x.cpp": 700, "src/base/src/gone.cpp": 500})
        lower_ratchet(self.root, rules)
        lowered = shape.Ratchet.load(self.root / "tools" / "ratchet.toml")
        self.assertEqual(lowered.files, {"src/base/src/x.cpp": 502})


class Saturation(unittest.TestCase):
    HEADER = "src/room/include/velo/room/limits.hpp"
    SOURCE = "src/room/src/metrics.cpp"

    def check(self, page, limit="things_queued_max"):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for path in (self.HEADER, self.SOURCE, saturation.PAGE):
                (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / self.HEADER).write_text(
                f"namespace velo::room::limits {{\n/// Things. Policy: no.\nconstexpr std::size_t {limit} = 4;\n}}\n")
            (root / self.SOURCE).write_text('add("velo_things_queued", "Things.");\n')
            (root / saturation.PAGE).write_text(page)
            return [finding.message for finding in saturation.check(root, [self.HEADER, self.SOURCE])]

    def test_a_row_for_each_queue_and_metrics_that_exist_are_fine(self):
        self.assertEqual(self.check("| `room::things_queued_max` | `velo_things_queued` |\n"), [])
        self.assertEqual(self.check("", "name_bytes_max"), [])

    def test_a_queue_without_a_row_is_found(self):
        self.assertTrue(any("room::things_queued_max" in each and "fills up" in each for each in self.check("")))

    def test_a_limit_or_metric_that_does_not_exist_is_found(self):
        page = "| `room::things_queued_max` | `velo_things_lost` | `room::others_max` |\n"
        found = self.check(page)
        self.assertEqual(len(found), 2, found)
        self.assertTrue(any("velo_things_lost" in each for each in found))
        self.assertTrue(any("room::others_max" in each for each in found))


class NamedLimits(unittest.TestCase):
    HEADER = "src/room/include/velo/room/limits.hpp"

    def check(self, comment, page=None):
        text = HEADER + "namespace velo::room::limits {\n" + comment + "constexpr std::size_t things_max = 1'024;\n}\n"
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / self.HEADER).parent.mkdir(parents=True)
            (root / self.HEADER).write_text(text)
            (root / "docs").mkdir()
            if page is None:
                limits.write(root, [self.HEADER])
            else:
                (root / "docs/limits.md").write_text(page)
            return [finding.message for finding in limits.check(root, [self.HEADER])]

    def test_a_constant_with_a_policy_and_a_fresh_page_is_fine(self):
        self.assertEqual(self.check("/// Things queued. Policy: more are\n/// dropped.\n"), [])

    def test_a_constant_without_a_policy_is_found(self):
        for comment in ("", "/// Things queued.\n", "/// Things queued. Policy:\n", "/// Policy: more are dropped.\n"):
            self.assertTrue(any("things_max" in message for message in self.check(comment)), comment)

    def test_a_stale_or_missing_page_is_found(self):
        self.assertTrue(any("--limits" in message for message in self.check("/// Things. Policy: no.\n", "old\n")))

    def test_values_are_shown_with_their_units(self):
        self.assertEqual(limits.shown("std::size_t{64} << 20", "x_bytes_max"), "64 MiB")
        self.assertEqual(limits.shown("65'535 + 16'384 + 64", "header_bytes_max"), "81,983 bytes")
        self.assertEqual(limits.shown("4'096", "calls_max"), "4,096")
        self.assertEqual(limits.shown("std::chrono::hours(24)", "deadline_max"), "24 h")
        self.assertEqual(limits.shown("std::chrono::milliseconds(50)", "pause"), "50 ms")
        self.assertEqual(limits.shown("other::limit", "pause"), "`other::limit`")


if __name__ == "__main__":
    unittest.main()
