"""The README's tour, as a reader would do it: a clean clone, scripts/up, then every line.

Fenced blocks with the info string "sh tour" are run in order in one bash with set -e, from the clone. The lines
"#=> ..." after a command are what it must have printed. Other blocks are not run.
"""

import re
import subprocess

from platform_under_test import ROOT, Platform, clean_environment

EXPECTED = "#=> "


def tour(text):
    """The lines of all tour blocks."""
    return [line for block in re.findall(r"^```sh tour\n(.*?)^```$", text, re.M | re.S) for line in block.splitlines()]


def script(lines):
    """The lines with a mark in the place of each expectation."""
    return "set -eu\n" + "".join(
        f"printf '%s\\n' '@{number}'\n" if line.startswith(EXPECTED) else line + "\n" for number, line in enumerate(lines))


def check(lines, printed):
    """What a mark stands for must have been printed since the mark before it; what runs beside may print too."""
    since = []
    for line in printed.splitlines():
        if not re.fullmatch(r"@\d+", line):
            since.append(line)
            continue
        said = lines[int(line[1:])][len(EXPECTED):]
        assert said in since, f"README says {said!r}, printed is {since}"
        since = since[since.index(said) + 1:]


def test_the_tour_of_the_readme_works_line_by_line(tmp_path):
    clone = tmp_path / "tradepost"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True, timeout=60)
    lines = tour((clone / "README.md").read_text())
    assert len(lines) > 5 and any(line.startswith(EXPECTED) for line in lines), "the README has no tour"
    settings = {**Platform.no_ports(), **Platform.one_settings()}
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    environment = clean_environment()
    try:
        up = subprocess.run(["scripts/up", "--edge-ports", "0,0,0,0", "--", *options], cwd=clone, env=environment,
                            capture_output=True, text=True, timeout=500, check=False)
        assert up.returncode == 0, up.stdout + up.stderr[-3000:]
        done = subprocess.run(["bash", "-c", script(lines)], cwd=clone, env=environment, capture_output=True, text=True,
                              timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr[-3000:]
        check(lines, done.stdout)
    finally:
        down = subprocess.run(["scripts/up", "--stop"], cwd=clone, env=environment, capture_output=True, text=True,
                              timeout=60, check=False)
    assert down.returncode == 0, down.stderr
