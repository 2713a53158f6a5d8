"""Request smuggling: what is hidden from one of the two, the edge and the gateway, must not come out as a request."""

import json

import pytest

from edge_under_test import exchange
from platform_under_test import free_port, wait_until

INNER = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /carrier HTTP/1.1\r\nHost: localhost\r\n"
END = b"GET /end HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
CHUNKED = b"0\r\n\r\n" + INNER
IN_A_CHUNK = b"%x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n"
SMUGGLING = [
    POST + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    POST + b"Content-Length: %d\r\nContent-Length: 0\r\n\r\n" % len(INNER) + INNER,
    POST + b"Content-Length: %d, 0\r\n\r\n" % len(INNER) + INNER,
    POST + b"Content-Length: +%d\r\n\r\n" % len(INNER) + INNER,
    POST + b"Content-Length: 0x0\r\n\r\n" + INNER,
    POST + b"Content-Length : %d\r\n\r\n" % len(INNER) + INNER,
    POST + b"Content_Length: %d\r\nContent-Length: %d\r\n\r\n" % (0, len(INNER)) + INNER,
    POST + b"Content-Length: %d\r\nContent_Length: 0\r\nTransfer_Encoding: chunked\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Transfer-Encoding : chunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Transfer-Encoding: xchunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Transfer-Encoding: identity, chunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n" + CHUNKED,
    POST + b"X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"X: y\rTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(CHUNKED) + CHUNKED,
    POST + b"Connection: Content-Length\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    POST + b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n" + IN_A_CHUNK,
    POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    POST + b"Transfer-Encoding: chunked\r\n\r\n%x;x=y\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n1%016x\r\n" % len(INNER) + INNER + b"\r\n0\r\n\r\n",
    b"GET /carrier HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
    b"GET /carrier HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 777\r\nContent-Length: %d\r\n\r\n" % len(INNER) + INNER,
]


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    assert len(name) < 127 and len(value) < 127  # or the length would take more bytes
    return b"\x00" + bytes((len(name),)) + name + bytes((len(value),)) + value


def http_2(*more, body=b""):
    """A POST whose last headers are as given, on stream 1; headers are literal, nothing is checked."""
    fields = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/carrier"),
              *more]
    block = b"".join(literal(*field) for field in fields)
    return (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4 if body else 5, 1, block)
            + (frame(0, 1, 1, body) if body else b""))


def wait_for_stream(file, number):
    """Reads until the stream is closed from there (END_STREAM, RST_STREAM), or the connection is (GOAWAY)."""
    while len(head := file.read(9)) == 9:
        file.read(int.from_bytes(head[:3], "big"))
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind == 7 or (stream == number and (kind == 3 or (kind in (0, 1) and flags & 1))):
            return


SMUGGLING_2 = [
    http_2((b"content-length", b"0"), body=INNER),
    http_2((b"transfer-encoding", b"chunked"), body=CHUNKED),
    http_2((b"transfer-encoding", b"chunked"), (b"content-length", b"%d" % len(CHUNKED)), body=CHUNKED),
    http_2((b"x", b"y\r\n\r\n" + INNER)),
    http_2((b"x", b"y\r\nTransfer-Encoding: chunked"), body=CHUNKED),
    http_2((b"x: y\r\n\r\n" + INNER[:60], b"z")),
    http_2((b":path", b"/carrier HTTP/1.1\r\nHost: localhost\r\n\r\nGET /smuggled")),
    http_2((b"connection", b"upgrade"), (b"upgrade", b"websocket"), body=INNER),
]


def assert_not_smuggled(edge):
    """The gateway has had the requests that the edge saw, and no others."""
    marker = f"/after-{free_port()}"
    assert edge.get(marker).status_code == 404  # what came before it has been logged when it has
    log = wait_until(lambda: (text := edge.platform.log()) and marker in text and text, what="the gateway's line")
    wait_until(lambda: edge.records()[-1]["path"] == marker, what="the edge's line")
    seen = [r["path"] for r in edge.records() if r["gateway_status"]]
    assert log.count('"/smuggled"') == seen.count("/smuggled") and log.count('"/carrier"') == seen.count("/carrier")


@pytest.mark.parametrize("attack", SMUGGLING, ids=range(len(SMUGGLING)))
def test_nothing_is_smuggled_past_the_edge(edge, attack):
    exchange(edge, attack + END)
    assert_not_smuggled(edge)


def send_http_2(edge, text):
    with edge.connect(context=edge.context("h2")) as connection:
        connection.sendall(text)
        wait_for_stream(connection.makefile("rb"), 1)


@pytest.mark.parametrize("attack", SMUGGLING_2, ids=range(len(SMUGGLING_2)))
def test_nothing_is_smuggled_through_http_2(edge, attack):
    send_http_2(edge, attack)
    assert_not_smuggled(edge)


def test_an_honest_request_gets_through_as_the_attacks_would(edge):
    """Otherwise the tests above would show nothing."""
    before = edge.platform.log().count('"/carrier"')
    send_http_2(edge, http_2(body=b"{}"))
    exchange(edge, POST + b"Content-Length: 2\r\n\r\n{}" + END)
    wait_until(lambda: edge.platform.log().count('"/carrier"') == before + 2, what="both requests")


@pytest.mark.parametrize("target", ["http://localhost/carrier", "https://other.example/carrier", "*", "localhost:443"])
def test_a_target_that_is_no_path_is_refused(edge, target):
    [(status, _, body), *_] = exchange(edge, END.replace(b"/end", target.encode()))
    assert status == 400 and json.loads(body)["code"], body


@pytest.mark.parametrize("path", ["/a%2fb", "//api/v1/markets", "/api/v1//markets", "/./x", "/api/v1/%2e%2e/x",
                                  "/a%00b"])
def test_the_gateway_reads_the_path_that_was_sent(edge, path):
    [(status, _, body)] = exchange(edge, END.replace(b"/end", path.encode()))
    assert status in (400, 404), body
    assert {"code", "detail", "requestId"} <= json.loads(body).keys()
