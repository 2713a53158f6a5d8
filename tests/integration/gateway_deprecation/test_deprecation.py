"""A method that will be gone says so, wherever it is called and whatever it answers; nothing else does."""

import pathlib
import sys

import pytest
import requests

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))

import prometheus_text  # noqa: E402
from platform_under_test import SYMBOL, Platform  # noqa: E402
from sockets import Socket  # noqa: E402

TOLD = {"Deprecation": "@1798761600", "Sunset": "Thu, 01 Jul 2027 00:00:00 GMT"}
NOTICE = {"since": "2027-01-01", "sunset": "2027-07-01", "successor": "prices.quotes", "link": "/docs/get-ticker"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    p = Platform(tmp_path_factory.mktemp("platform"))
    try:
        yield p.start()
        p.stop()
    finally:
        p.close()


def ask(socket, command, **request):
    socket.send({"command": command, "msgId": "7", **request})
    return socket.answer("7")


def get(platform, path):
    return requests.get(platform.origin + path, timeout=20)


@pytest.mark.parametrize("symbol, status", [(SYMBOL, 200), ("NO-SUCH", 404), ("bad", 400)])
def test_every_answer_of_it_has_the_headers(platform, symbol, status):
    answer = get(platform, f"/api/v1/markets/{symbol}/ticker")
    assert answer.status_code == status and TOLD.items() <= answer.headers.items()
    assert answer.links["successor-version"]["url"] == "/api/v1/quotes"
    assert answer.links["deprecation"]["url"] == "/docs/versioning"


def test_other_answers_have_not(platform):
    for path in (f"/api/v1/quotes?symbols={SYMBOL}", "/api/v1/markets", "/docs", "/nothing"):
        assert not {"Deprecation", "Sunset", "Link"} & get(platform, path).headers.keys(), path


def test_its_answers_on_the_websocket_say_so(platform):
    with Socket(platform.ws("guest")) as socket:
        for request, ok in (({"symbol": SYMBOL}, True), ({"symbol": "bad"}, False)):
            answer = ask(socket, "prices.ticker", **request)
            assert answer["ok"] == ok and answer["deprecated"] == NOTICE
        answer = ask(socket, "prices.quotes", symbols=SYMBOL)
        assert answer["ok"] and "deprecated" not in answer


def test_operators_see_how_often_it_is_called(platform):
    def calls(front):
        name = "tradepost_gateway_deprecated_calls_total"
        metrics = prometheus_text.read(requests.get(platform.internal + "/metrics", timeout=20).text)
        labels = f'method="trading.Trading/GetTicker",front="{front}"'
        return metrics[name][1].get((name, labels), 0) if name in metrics else 0

    before = calls("rest"), calls("websocket")
    get(platform, f"/api/v1/markets/{SYMBOL}/ticker")
    with Socket(platform.ws("guest")) as socket:
        for _ in range(2):
            socket.command("prices.ticker", symbol=SYMBOL)
    assert (calls("rest"), calls("websocket")) == (before[0] + 1, before[1] + 2)


def test_the_documents_tell(platform):
    document = get(platform, "/openapi.json").json()
    assert document["paths"]["/api/v1/markets/{symbol}/ticker"]["get"]["deprecated"] is True
    told = {o["command"]: o["deprecated"] for o in platform.guest().get("/help")["operations"]}
    assert told["prices.ticker"] == NOTICE and not told["prices.quotes"]
    page = get(platform, NOTICE["link"]).text
    assert "Deprecated." in page and "prices.quotes" in page
