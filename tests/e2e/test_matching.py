"""A day of trading and the corner cases: every outcome equals independent matching engines', message for message."""

import itertools
import json
from decimal import Decimal

import pytest

from platform_under_test import PASSWORD, ROOT

import replay

DATA = ROOT / "tests/data/matching"
FUNDS = {"USDT": "1000000000", "BTC": "100000"}
TRADERS = 4


def traders(platform, name):
    admin = replay.Api(platform.url, platform.admin().token)
    return [replay.make_trader(platform.url, admin, f"{name}-{n}", PASSWORD, FUNDS) for n in range(TRADERS)]


def first_difference(got, expected):
    for number, (ours, theirs) in enumerate(itertools.zip_longest(got, expected), 1):
        if ours != theirs:
            return f"line {number}: ours {ours!r}, theirs {theirs!r}"
    return None


@pytest.mark.parametrize("flow", ["normal", "swing-25"])
def test_a_day_of_trading_equals_the_independent_engines(platform, flow):
    messages = None if platform.shape == "one" else 3000  # a few seconds' worth
    everybody = traders(platform, flow)
    player = replay.Replay(everybody)
    for message in itertools.islice(replay.read_messages(DATA / f"{flow}.orders.csv.gz"), messages):
        player.send(message)
    got = list(player.reports())
    replay.cancel_everything(everybody)
    last = player.messages
    expected = [line for line in replay.read_reports(DATA / f"{flow}.reports.csv.gz") if int(line.split(",")[1]) < last]
    assert last == (messages or 20058)
    assert first_difference(got, expected) is None
    audit = platform.audit()
    assert audit["balanced"] and all(Decimal(a["sum"]) == 0 for a in audit["items"])
    for trader in everybody:
        assert all(Decimal(b["held"]) == 0 for b in trader.call("GET", "/wallet/balances")["items"])


CASES = json.loads((DATA / "edge_cases.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
def test_a_corner_case_equals_the_independent_engines(platform, case):
    everybody = traders(platform, "corner-case")
    player = replay.Replay(everybody, replay.UNIT_OF_A_CASE)
    for message in replay.case_messages(case):
        player.send(message)
    got = list(player.reports())
    replay.cancel_everything(everybody)
    assert got == case["reports"]
