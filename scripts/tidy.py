"""The style checks that clang-format cannot make. Usage: tidy.py FILE..."""

import re
import sys

LINES_OF_A_FUNCTION = 70
LINES_OF_A_FILE = 600
COLUMNS = 100

# Unbounded, not thread-safe, or a wait that hides a race.
BANNED = (
    "strcpy strcat sprintf vsprintf gets strtok atoi atol atof atoll alloca system popen rand srand "
    "sleep usleep localtime gmtime ctime asctime tmpnam mktemp nng_msg_insert nng_msg_header_insert "
    "mg_handle_form_request"
).split()
BANNED_CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED))
COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)
INCLUDE = re.compile(r'^#include "([^"]+)"', re.M)


def blank(match):
    """Keeps the line breaks of what is cut out, so that line numbers stay true."""
    return re.sub(r"[^\n]", " ", match.group())


def long_functions(text):
    """(line, length) of every function body over the limit: from a '{' in column 0 to its '}'."""
    start = None
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            if number - start > LINES_OF_A_FUNCTION:
                yield start, number - start
            start = None


def crosses_a_wall(path, included):
    """A service includes no other service, base none at all, the gateway none; nobody climbs with '..'."""
    room = path.split("/")
    if included.startswith(".."):
        return True
    if room[0] in ("base", "gateway"):
        return included.startswith("services/")
    if room[0] == "services" and len(room) == 3:
        return included.startswith(("services/", "gateway/"))
    return False


def problems(path, text):
    code = COMMENT_OR_STRING.sub(blank, text)
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > COLUMNS:
            yield number, f"{len(line)} columns; at most {COLUMNS}"
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield number, "no TODO in the tree: do it, or say it in the docs"
    for match in BANNED_CALL.finditer(code):
        yield code.count("\n", 0, match.start()) + 1, f"{match.group(1)}() is banned"
    for match in INCLUDE.finditer(text):
        if crosses_a_wall(path, match.group(1)):
            yield text.count("\n", 0, match.start()) + 1, f'"{match.group(1)}" is behind a wall'
    for number, length in long_functions(text):
        yield number, f"a function of {length} lines; at most {LINES_OF_A_FUNCTION}"
    lines = text.count("\n")
    if lines > LINES_OF_A_FILE:
        yield lines, f"a file of {lines} lines; at most {LINES_OF_A_FILE}"


def main(paths):
    found = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for number, problem in problems(path, file.read()):
                print(f"{path}:{number}: {problem}", file=sys.stderr)
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
