# SPDX-License-Identifier: Apache-2.0
"""Sizes of files and functions, with the ratchet that lets old excesses shrink but never grow."""

import ast
import re
import tomllib

FILE_LINES_SOFT = 400
FILE_LINES_HARD = 800
FUNCTION_LINES = 70
BLOB_BYTES = 200 * 1024
_SIZED = re.compile(r"\.(cpp|hpp|py|cmake)$|^dev$|^tools/[a-z_]+$|(^|/)CMakeLists\.txt$")


class Ratchet:
    """The files and functions known to be too large, with the size they may not exceed (ratchet.toml)."""

    def __init__(self, files=None, functions=None):
        self.files = files or {}
        self.functions = functions or {}

    @classmethod
    def load(cls, path):
        with open(path, "rb") as file:
            table = tomllib.load(file)
        return cls(table.get("files", {}), table.get("functions", {}))

    def dump(self):
        text = RATCHET_OPENING
        for title, entries in (("files", self.files), ("functions", self.functions)):
            text += f"\n[{title}]\n" + "".join(f'"{key}" = {size}\n' for key, size in sorted(entries.items()))
        return text


RATCHET_OPENING = f"""# SPDX-License-Identifier: Apache-2.0
# Files over {FILE_LINES_SOFT} lines and functions over {FUNCTION_LINES} lines that exist all the same, with their size. An entry may only
# shrink: `tools/tidy --ratchet` lowers and removes entries, and never adds one. No entry excuses a file of more
# than {FILE_LINES_HARD} lines. A new entry is an edit by hand that a reviewer sees and that its commit explains.
"""


def check_file_size(source, ratchet):
    if not _SIZED.search(source.path):
        return
    size = len(source.lines)
    allowed = ratchet.files.get(source.path, FILE_LINES_SOFT)
    if size > FILE_LINES_HARD:
        yield source.finding(1, f"{size} lines: more than {FILE_LINES_HARD} is never right; split the file by what it knows")
    elif size > allowed:
        reason = "its ratchet allows" if source.path in ratchet.files else "a file has at most"
        yield source.finding(1, f"{size} lines: {reason} {allowed}; split the file by what it knows")
    elif source.path in ratchet.files and size < allowed:
        yield source.finding(1, f"{size} lines, ratchet {allowed}: run `tools/tidy --ratchet` to keep the gain")


def check_function_sizes(source, ratchet):
    for name, line, size in functions(source):
        key = f"{source.path}:{name}"
        allowed = ratchet.functions.get(key, FUNCTION_LINES)
        if size > allowed:
            yield source.finding(line, f"`{name}` has {size} lines, at most {allowed}: give its parts names")
        elif key in ratchet.functions and size < allowed:
            yield source.finding(line, f"`{name}`: {size} lines, ratchet {allowed}: run `tools/tidy --ratchet`")


def functions(source):
    """(name, first line, lines from the opening to the closing brace) of each function."""
    if source.path.endswith(".py"):
        return list(_python_functions(source))
    return list(_cpp_functions(source)) if source.is_cpp else []


def _python_functions(source):
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


_CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum)\b(?![^;{}]*\)\s*(const|noexcept|override|final|->|&|\s)*$)")
_EXTERN = re.compile(r"\bextern\s*$")
_NAME = re.compile(r"((?:[\w~]+::)*~?[\w]+|operator\s*\S+?)\s*\(")


def _cpp_functions(source):
    """Counts braces over code without literals. Everything inside a function belongs to it, lambdas included."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group()), source.code, flags=re.M)
    depth, inside, opened, name = 0, None, 0, ""
    head_start = 0
    for match in re.finditer(r"[{};]", code):
        mark, at = match.group(), match.start()
        if mark == "{":
            head = code[head_start:at]
            if inside is None and not _is_container(head):
                inside, opened, name = depth, at, _name_of(head)
            depth += 1
        elif mark == "}":
            depth = max(0, depth - 1)
            if inside == depth:
                yield name, source.line_of(opened), code.count("\n", opened, at) + 1
                inside = None
        head_start = at + 1


def _is_container(head):
    return bool(_CONTAINER.search(head) or _EXTERN.search(head))


def _name_of(head):
    match = _NAME.search(re.sub(r"\b(requires|noexcept|alignas|explicit|decltype)\s*\([^()]*\)", " ", head))
    if not match:
        return "initialiser"
    if re.fullmatch(r"TEST(_F|_P)?|TYPED_TEST(_P)?", match.group(1)):
        arguments = re.match(r"\s*(\w+)\s*,\s*(\w+)", head[match.end() :])
        if arguments:
            return f"{arguments.group(1)}.{arguments.group(2)}"
    return match.group(1)


def check_blob(path, size):
    if size > BLOB_BYTES:
        return f"{size // 1024} KiB: files over {BLOB_BYTES // 1024} KiB stay out of the repository; generate or fetch it"
    return None
