"""The help site, as people, browsers and shells meet it."""

import html
import json
import re
import shutil
import subprocess

import pytest
import requests

from platform_under_test import ROOT, clean_environment
from sockets import Socket

NODE_TESTS = ROOT / "tests/node"
SKIPPED = 77
LISTEN_S = "2"     # how long an example that never ends is followed
CURL_TIMED_OUT = 28
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
OWN = "https://localhost:3333"  # what the examples say


def get(platform, path, **headers):
    return requests.get(platform.origin + path, headers=headers, timeout=10)


def page_names(platform):
    text = get(platform, "/docs").text
    return sorted(set(re.findall(r'href="/docs/([a-z-]+)"', text)))


def examples(platform, who):
    """(page, command line) of every curl example that guests, or users, may run."""
    for name in page_names(platform):
        text = get(platform, "/docs/" + name).text
        for figure in re.findall(rf'<figure class="code" data-run="{who}">(.*?)</figure>', text, re.S):
            yield name, html.unescape(re.sub(r"<[^>]+>", "", re.search(r"<pre.*?</pre>", figure, re.S).group()))


def run_example(platform, directory, command, **environment):
    """Runs a command line as it stands, but for the address; its exit code, the answer's status and body."""
    shell = command.replace(OWN, platform.origin) + (
        f" -sS --max-time {LISTEN_S if ' -N ' in command else '30'} -w '\\n%{{http_code}}'")
    done = subprocess.run(["sh", "-ec", shell], cwd=directory, capture_output=True, text=True, timeout=60, check=False,
                          env=clean_environment(no_proxy="*", **environment))
    body, _, status = done.stdout.rpartition("\n")
    assert done.returncode in (0, CURL_TIMED_OUT if " -N " in command else 0), (command, done.stderr)
    return int(status), body


@pytest.fixture
def docs(new_platform):
    """A platform of this test alone: the examples make accounts by fixed names."""
    return new_platform().start()


def test_every_example_that_a_guest_may_run_runs(docs, tmp_path):
    found = list(examples(docs, "guest"))
    first = ["register-user", "login", "refresh"]  # the others need no order
    found.sort(key=lambda e: first.index(e[0]) if e[0] in first else len(first))
    assert len(found) > 15 and [name for name, _ in found[:3]] == first
    for name, command in found:
        status, body = run_example(docs, tmp_path, command)
        assert status in (200, 201), (name, command, body)
        assert " -N " not in command or body.startswith("retry:"), (name, body)


def test_no_example_for_users_is_refused_for_what_it_says(docs, tmp_path):
    """Its money, order or recipient may be missing; a field may not be wrong."""
    ann = docs.user("ann", USDT="100000")
    found = [e for e in examples(docs, "user") if e[0] != "logout"]
    assert len(found) > 15
    for name, command in found:
        status, body = run_example(docs, tmp_path, command, TOKEN=ann.token)
        assert status < 500 and status not in (400, 401, 405, 406, 415), (name, command, body)
        assert status != 403 or "administrators" in body, (name, body)


def test_every_websocket_example_is_understood(docs):
    """Its money, order or recipient may be missing; no command is unknown and no field wrong."""
    ann = docs.user("ann", USDT="100000")
    found = [json.loads(html.unescape(re.sub(r"<[^>]+>", "", text))) for name in page_names(docs) for text in
             re.findall(r'<figcaption>WebSocket</figcaption><pre[^>]*>(.*?)</pre>', get(docs, "/docs/" + name).text, re.S)]
    assert len(found) > 30
    with Socket(docs.ws(), ann) as socket:
        for message in found:
            if message["command"] in ("authenticate", "auth.logout"):
                continue
            socket.send(message)
            answer = socket.answer(message["msgId"])
            refused = answer["ok"] or answer["error"]["code"]
            assert refused not in ("unknown_command", "invalid_argument", "invalid_channel", "internal"), (message, answer)


def test_a_page_is_cached_by_its_content(platform):
    page = get(platform, "/docs/place-order", **HTML)
    assert page.status_code == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
    again = get(platform, "/docs/place-order", **{"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "no-cache" in page.headers["Cache-Control"]
    head = requests.head(platform.origin + "/docs/place-order", timeout=10)
    assert head.headers["Content-Length"] == str(len(page.content)) and head.content == b""
    for asset in re.findall(r'"(/docs/[a-z]+\.[0-9a-f]{12}\.[a-z]+)"', page.text):
        answer = get(platform, asset)
        assert answer.status_code == 200 and answer.headers["ETag"], asset
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable", asset


def test_the_policy_of_a_page_allows_its_own_files_only(platform):
    policy = get(platform, "/docs").headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["frame-ancestors"] == "'none'"
    assert {rules[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/not-found", "/docs/", "/docs/a/b", "/nothing"])
def test_where_there_is_nothing_a_browser_sees_a_page_and_a_program_a_problem(platform, path):
    page = get(platform, path, **HTML)
    assert page.status_code == 404 and page.headers["Content-Type"].startswith("text/html"), page.text
    problem = get(platform, path)
    assert problem.status_code == 404 and problem.json()["code"] == "not_found"


def test_guests_read_them_at_their_port_too(platform):
    answer = requests.get(f"http://{platform.address('guest')}/docs", timeout=10)
    assert answer.status_code == 200 and "<h1>" in answer.text


def test_asyncapi_is_served_and_lists_what_help_lists(platform):
    document = get(platform, "/asyncapi.json").json()
    commands = {o["command"] for o in platform.guest().get("/help")["operations"] if o["command"]}
    assert {o["title"] for o in document["operations"].values() if o["action"] == "send"} == commands


@pytest.mark.parametrize("listener", ["main", "login", "guest"])
def test_each_port_offers_the_commands_that_asyncapi_says(platform, listener):
    operations = get(platform, "/asyncapi.json").json()["operations"].values()
    told = {o["title"]: listener in o["x-servers"] for o in operations if o["action"] == "send"}
    assert sum(told.values()) > 5
    wrong = {}
    for command in sorted(told.keys() - {"authenticate"}):  # that one closes, and is tried by itself
        with Socket(platform.ws(listener)) as socket:
            socket.send({"command": command, "msgId": "1", "nothing": 1})
            answer = socket.answer("1")
            offered = answer["ok"] or answer["error"]["code"] != "not_offered"
            if offered != told[command]:
                wrong[command] = answer
    assert not wrong


def read_with_a_browser(origin):
    if not (NODE_TESTS / "node_modules/playwright-core").is_dir() or not shutil.which("node"):
        pytest.skip("npm ci --prefix tests/node")
    done = subprocess.run(["node", NODE_TESTS / "docs_browser.mjs", origin], capture_output=True, text=True,
                          timeout=600, check=False, env=clean_environment())
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_browser_reads_searches_and_tries(docs):
    read_with_a_browser(docs.origin)


def test_a_browser_reads_through_the_edge(edge):
    read_with_a_browser(edge.origin)
