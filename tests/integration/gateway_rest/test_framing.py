"""What is refused before anything looks at it, byte by byte, and what is not."""

import json

import pytest

from conftest import REQUEST_MS
from platform_under_test import let_pass
from raw import Connection, exchange, seconds

HOST = "Host: x\r\n"
LOGIN = b'{"email":"nobody@example.com","password":"wrong horse battery"}'
HEAD_MAX = 16384  # bytes of the request line and the headers
BODY_MAX = 65536
HEADERS_MAX = 63


def get(path="/api/v1/markets", headers="", host=HOST, version="HTTP/1.1"):
    return f"GET {path} {version}\r\n{host}{headers}\r\n"


def post(headers, body=b"", path="/api/v1/auth/login", content_type="Content-Type: application/json\r\n"):
    return f"POST {path} HTTP/1.1\r\n{HOST}{content_type}{headers}\r\n".encode("latin-1") + body


CLIENT_HELLO = bytes.fromhex(
    "16030100c4010000c00303" + "5a" * 32 + "20" + "a5" * 32 + "003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024"
    "c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff01000039000b000403000102")

# ---- refused, with a problem document, and the connection ends ----

REFUSED = {
    # the request line
    "HTTP/0.9": (400, "GET /api/v1/markets\r\n\r\n"),
    "an unknown version": (505, get(version="HTTP/2.0")),
    "no version number": (400, get(version="HTTP")),
    "an unknown verb": (400, "BREW / HTTP/1.1\r\n" + HOST + "\r\n"),
    "no verb": (400, " / HTTP/1.1\r\n" + HOST + "\r\n"),
    "two blanks": (400, "GET  /api/v1/markets HTTP/1.1\r\n" + HOST + "\r\n"),
    "two blanks before the version": (400, "GET /api/v1/markets  HTTP/1.1\r\n" + HOST + "\r\n"),
    "a tab": (400, "GET\t/api/v1/markets HTTP/1.1\r\n" + HOST + "\r\n"),
    "a blank in the path": (400, get("/api/v1/ma rkets")),
    "garbage": (400, "\x01\x02\x03\r\n\r\n"),
    "nothing but blank lines": (400, "\r\n\r\n"),
    "HTTP/2's preface": (400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    "a hello of TLS": (400, CLIENT_HELLO),
    "a verb in small letters": (400, "get /api/v1/markets HTTP/1.1\r\n" + HOST + "\r\n"),
    "a version in small letters": (400, get(version="http/1.1")),
    "a version with a blank": (400, get(version="HTTP/1 .1")),
    "HTTP/1.2": (505, get(version="HTTP/1.2")),
    "something behind the version": (400, get(version="HTTP/1.1 x")),
    # the target
    "absolute form of another host": (400, get("http://example.com/api/v1/markets")),
    "absolute form of this host": (400, get("http://x/api/v1/markets")),
    "absolute form with a user": (400, get("http://y@x/api/v1/markets")),
    "authority form": (400, get("example.com:443")),
    "the asterisk of a GET": (400, get("*")),
    "absolute form of https": (400, get("https://example.com/")),
    "the asterisk": (400, "OPTIONS * HTTP/1.1\r\n" + HOST + "\r\n"),
    "CONNECT": (400, "CONNECT example.com:443 HTTP/1.1\r\n" + HOST + "\r\n"),
    "no slash first": (400, get("api/v1/markets")),
    "a NUL": (400, get("/api/v1/markets/%00")),
    "an encoded slash": (400, get("/api/v1%2fmarkets")),
    "an encoded slash in capitals": (400, get("/api/v1%2Fmarkets")),
    "an encoded backslash": (400, get("/api/v1%5cmarkets")),
    "a backslash": (400, get("/api/v1\\markets")),
    "dot dot": (400, get("/api/v1/x/../markets")),
    "dot dot at the end": (400, get("/api/v1/markets/..")),
    "dot": (400, get("/api/./v1/markets")),
    "encoded dots": (400, get("/api/v1/x/%2e%2E/markets")),
    "a bad escape": (400, get("/api/v1/%zz")),
    "half an escape": (400, get("/api/v1/%2")),
    "an encoded line end": (400, get("/api/v1/markets%0d%0aX:%20y")),
    "an encoded DEL": (400, get("/api/v1/%7f")),
    "no UTF-8": (400, get("/api/v1/%ff")),
    "overlong UTF-8": (400, get("/api/v1/%c0%ae")),
    "a fragment": (400, get("/api/v1/markets#x")),
    "a raw byte above ASCII": (400, get("/api/v1/\xe9")),
    "a path that is too long": (414, get("/" + "a" * 2048)),
    "a fragment in the query": (400, get("/api/v1/markets?a=b#c")),
    "a raw byte above ASCII in the query": (400, get("/api/v1/markets?a=\xe9")),
    # the header lines
    "no Host": (400, get(host="")),
    "two Hosts": (400, get(headers=HOST)),
    "an empty Host": (400, get(host="Host:\r\n")),
    "a list of Hosts": (400, get(host="Host: x, y\r\n")),
    "a Host with a blank": (400, get(host="Host: x y\r\n")),
    "a Host with a path": (400, get(host="Host: x/y\r\n")),
    "a Host with a user": (400, get(host="Host: y@x\r\n")),
    "a Host of HTTP/1.0 with a blank": (400, get(host="Host: x y\r\n", version="HTTP/1.0")),
    "a bare LF behind a header": (400, "GET /api/v1/markets HTTP/1.1\r\nHost: x\nA: b\r\n\r\n"),
    "a bare LF behind the request line": (400, "GET /api/v1/markets HTTP/1.1\nHost: x\r\n\r\n"),
    "bare LFs only": (400, "GET /api/v1/markets HTTP/1.1\nHost: x\n\n"),
    "a bare CR": (400, get(headers="A: b\rC: d\r\n")),
    "a folded header": (400, get(headers="A: b\r\n c\r\n")),
    "a folded first header": (400, "GET /api/v1/markets HTTP/1.1\r\n A: b\r\n" + HOST + "\r\n"),
    "a line that hides Content-Length": (400, post(" x\r\nContent-Length: 40\r\n", b"x" * 40)),
    "a blank before the colon": (400, post("Content-Length : 5\r\n", b"hello")),
    "a header without a name": (400, get(headers=": x\r\n")),
    "a header without a colon": (400, get(headers="nonsense\r\n")),
    "a name with a bracket": (400, get(headers="a[b]: x\r\n")),
    "a NUL in a header": (400, get(headers="A: b\x00c\r\n")),
    "a control character in a header": (400, get(headers="A: b\x08c\r\n")),
    "64 headers": (431, get(headers="".join(f"A{i}: b\r\n" for i in range(HEADERS_MAX)))),
    "65 headers": (431, get(headers="".join(f"A{i}: b\r\n" for i in range(HEADERS_MAX + 1)))),
    "a Content-Length behind 64 headers": (431, post("".join(f"A{i}: b\r\n" for i in range(70))
                                                     + "Content-Length: 5\r\n", b"hello")),
    "Authorization twice": (400, get(headers="Authorization: Bearer a\r\nAuthorization: Bearer b\r\n")),
    "two Idempotency-Keys": (400, post("Idempotency-Key: a\r\nidempotency-key: b\r\nContent-Length: 0\r\n")),
    # how long the body is
    "two equal Content-Lengths": (400, post("Content-Length: 5\r\nContent-Length: 5\r\n", b"hello")),
    "two Content-Lengths": (400, post("Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!")),
    "a list of Content-Lengths": (400, post("Content-Length: 5, 5\r\n", b"hello")),
    "a negative Content-Length": (400, post("Content-Length: -5\r\n", b"hello")),
    "a Content-Length with a sign": (400, post("Content-Length: +5\r\n", b"hello")),
    "a Content-Length in hex": (400, post("Content-Length: 0x5\r\n", b"hello")),
    "a Content-Length with a fraction": (400, post("Content-Length: 5.0\r\n", b"hello")),
    "an empty Content-Length": (400, post("Content-Length:\r\n", b"hello")),
    "a Content-Length beyond 64 bits": (400, post("Content-Length: 99999999999999999999\r\n", b"hello")),
    "both": (400, post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
    "both, the other way round": (400, post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n")),
    "two Transfer-Encodings": (400, post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
    "Transfer-Encoding: gzip": (400, post("Transfer-Encoding: gzip\r\n", b"hello")),
    "Transfer-Encoding: gzip, chunked": (400, post("Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n")),
    "Transfer-Encoding: chunked, identity": (400, post("Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n")),
    "Transfer-Encoding: chunked,": (400, post("Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n")),
    "Transfer-Encoding: xchunked": (400, post("Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n")),
    'Transfer-Encoding: "chunked"': (400, post('Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n")),
    "Transfer-Encoding with a vertical tab": (400, post("Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n")),
    "Transfer-Encoding behind a bare CR": (400, post("A: b\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
    "Transfer-Encoding behind a bare LF": (400, post("A: b\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")),
    "a blank before Transfer-Encoding's colon": (400, post("Transfer-Encoding : chunked\r\n", b"0\r\n\r\n")),
    "no value of Transfer-Encoding": (400, post("Transfer-Encoding:\r\n", b"0\r\n\r\n")),
    "Transfer-Encoding: identity": (501, post("Transfer-Encoding: identity\r\n", b"hello")),
    "Transfer-Encoding with a blank": (400, post("Transfer-Encoding: chunked \r\n", b"0\r\n\r\n")),
    "chunks in HTTP/1.0": (400, b"POST /api/v1/auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "an unknown expectation": (417, post("Expect: a miracle\r\nContent-Length: 2\r\n", b"{}")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_and_closed(platform, what):
    status, data = REFUSED[what]
    answer = exchange(platform, data)
    assert answer.status == status, answer
    assert answer.problem["code"] in {"bad_request", "uri_too_long", "headers_too_large", "expectation_failed",
                                      "unimplemented", "http_version_not_supported"}


@pytest.mark.parametrize("listener", ["main", "login", "guest", "internal"])
def test_every_listener_is_as_strict(platform, listener):
    assert exchange(platform, get("/../x"), listener).status == 400
    assert exchange(platform, "GET / HTTP/1.1\nHost: x\n\n", listener).status == 400


def test_a_refusal_ends_what_was_pipelined_behind_it(platform):
    with Connection(platform) as c:
        answer = c.send(get("/a/../b") + get()).answer()
        assert answer.status == 400 and answer.closes and c.ended()


BAD_CHUNKS = {
    "an extension": b"2;a=b\r\n{}\r\n0\r\n\r\n",
    "a size that is no hex": b"x\r\n{}\r\n0\r\n\r\n",
    "a negative size": b"-2\r\n{}\r\n0\r\n\r\n",
    "a size with 0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a size with a blank": b"2 \r\n{}\r\n0\r\n\r\n",
    "a size ended by LF": b"2\n{}\r\n0\r\n\r\n",
    "too little data": b"5\r\n{}\r\n0\r\n\r\n",
    "too much data": b"1\r\n{}\r\n0\r\n\r\n",
    "a size beyond 64 bits": b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a size of -1": b"ffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a size of the lowest number": b"8000000000000000\r\n{}\r\n0\r\n\r\n",
    "no size": b"\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("what", BAD_CHUNKS)
def test_bad_chunks_are_refused_and_closed(platform, what):
    with Connection(platform) as c:
        answer = c.send(post("Transfer-Encoding: chunked\r\n", BAD_CHUNKS[what])).half_close().answer()
        assert answer.status in (400, 413) and answer.closes and c.ended(), answer


# ---- at the limit ----

def test_63_headers_are_served(platform):
    with Connection(platform) as c:
        headers = "".join(f"A{i}: b\r\n" for i in range(HEADERS_MAX - 1))
        assert c.send(get(headers=headers)).answer().status == 200
        assert c.send(get()).answer().status == 200


@pytest.mark.parametrize("size, status", [(HEAD_MAX - 1, 200), (HEAD_MAX, 200), (HEAD_MAX + 1, 431),
                                          (HEAD_MAX + 5000, 431), (HEAD_MAX * 3, 400)])
def test_a_head_at_the_limit(platform, size, status):
    head = get(headers="A: {}\r\n")
    head = head.format("b" * (size - len(head) + 2))
    assert len(head) == size
    with Connection(platform) as c:
        answer = c.send(head).answer()
        assert answer.status == status
        assert answer.closes == (status != 200)


ROUTES = [("/api/v1/auth/login", 4096), ("/api/v1/orders", 4096), ("/api/v1/wallet/transfers", BODY_MAX),
          ("/api/v1/orders/batch", 2 * BODY_MAX)]


def post_as(user, path, headers, body=b""):
    return post(f"Authorization: Bearer {user.token}\r\n{headers}", body, path)


@pytest.mark.parametrize("path, limit", ROUTES)
@pytest.mark.parametrize("more", [0, 1, 300000])
def test_a_body_at_the_limit(platform, ann, path, limit, more):
    """A client that sends all of a body that is too large can still read the answer."""
    size, status = limit + more, 413 if more else 400
    with Connection(platform) as c:
        answer = c.send(post_as(ann, path, f"Content-Length: {size}\r\n", b"x" * size)).answer()
        assert answer.status == status
        assert answer.problem["code"] == ("body_too_large" if more else "invalid_argument")
        assert answer.closes == bool(more)


@pytest.mark.parametrize("path, limit", ROUTES)
@pytest.mark.parametrize("more", [0, 1])
def test_a_chunked_body_at_the_limit(platform, ann, path, limit, more):
    size = limit + more
    chunks = b"".join(b"%x\r\n%s\r\n" % (n, b"x" * n) for n in [4096] * (size // 4096) + [size % 4096] if n)
    with Connection(platform) as c:
        answer = c.send(post_as(ann, path, "Transfer-Encoding: chunked\r\n", chunks + b"0\r\n\r\n")).answer()
        assert answer.status == (413 if more else 400) and answer.closes


@pytest.mark.parametrize("path, limit", ROUTES)
def test_a_body_that_is_too_large_is_refused_before_it_comes(platform, ann, path, limit):
    answer = exchange(platform, post_as(ann, path, f"Content-Length: {limit + 1}\r\n"))
    assert answer.status == 413


# ---- served ----

def test_one_connection_serves_many_requests(platform):
    with Connection(platform) as c:
        for _ in range(5):
            answer = c.send(get()).answer()
            assert answer.status == 200 and not answer.closes
            assert c.send(post(f"Content-Length: {len(LOGIN)}\r\n", LOGIN)).answer().status == 401
            assert c.send(get("/nowhere")).answer().status == 404


def test_pipelined_requests_are_answered_in_order(platform):
    login = post(f"Content-Length: {len(LOGIN)}\r\n", LOGIN)
    with Connection(platform) as c:
        c.send(get().encode() + login + get("/nowhere").encode() + login + get().encode())
        assert [c.answer().status for _ in range(5)] == [200, 401, 404, 401, 200]


def test_a_request_may_come_byte_by_byte(platform):
    with Connection(platform) as c:
        for byte in post(f"Content-Length: {len(LOGIN)}\r\n", LOGIN):
            c.send(bytes([byte]))
        assert c.answer().status == 401


def test_chunks_are_put_together(platform):
    chunks = b"".join(b"%X\r\n%s\r\n" % (len(LOGIN[i:i + 7]), LOGIN[i:i + 7]) for i in range(0, len(LOGIN), 7))
    with Connection(platform) as c:
        answer = c.send(post("Transfer-Encoding: Chunked\r\n", chunks + b"0\r\n\r\n")).answer()
        assert (answer.status, answer.problem["code"]) == (401, "bad_credentials")
        assert answer.closes and c.ended()


def test_trailers_are_no_request(platform):
    chunks = b"%x\r\n%s\r\n0\r\nA: b\r\n\r\n" % (len(LOGIN), LOGIN)
    smuggled = get("/smuggled").encode()
    with Connection(platform) as c:
        assert c.send(post("Transfer-Encoding: chunked\r\n", chunks + smuggled)).answer().status == 401
        assert c.ended()


@pytest.mark.parametrize("blanks", [b"\r\n\r\n", b"\n\n", b"\r\n" * 4, b"\r\n" * 16, b"\n" * 7])
def test_blank_lines_do_not_turn_a_body_into_a_request(platform, blanks):
    """Whatever length would make the server lose count in just the right way."""
    smuggled = get("/smuggled").encode()
    for length in range(80, 130):
        with Connection(platform) as c:
            c.send(blanks + post(f"Content-Length: {length}\r\n", smuggled)).half_close()
            answer = c.answer()
            assert answer.status == 400 and answer.closes and c.ended()


@pytest.mark.parametrize("blanks", [b"\r\n", b"\n", b"  "])
def test_a_blank_line_before_a_request_is_nothing(platform, blanks):
    with Connection(platform) as c:
        c.send(blanks + post(f"Content-Length: {len(LOGIN)}\r\n", LOGIN))
        assert c.answer().status == 401
        assert c.send(get()).answer().status == 200


def test_a_body_nobody_asked_for_ends_the_connection(platform):
    with Connection(platform) as c:
        hidden = get("/hidden")
        answer = c.send(get(headers=f"Content-Length: {len(hidden)}\r\n") + hidden).answer()
        assert answer.status == 200 and answer.closes and c.ended()


@pytest.mark.parametrize("headers, closes", [
    ("Connection: close\r\n", True), ("Connection: Close\r\n", True), ("Connection: keep-alive\r\n", False),
    ("Connection: Keep-Alive\r\n", False), ("Connection: x\r\n", True), ("", False)])
def test_who_says_close_is_told_so(platform, headers, closes):
    with Connection(platform) as c:
        answer = c.send(get(headers=headers)).answer()
        assert answer.closes == closes
        if closes:
            assert c.ended()
        else:
            assert c.send(get()).answer().status == 200


@pytest.mark.parametrize("head", [get(version="HTTP/1.0"), get(version="HTTP/1.0", host=""),
                                  get(version="HTTP/1.0", headers="Connection: keep-alive\r\n")])
def test_HTTP_1_0_gets_one_answer(platform, head):
    answer = exchange(platform, head)
    assert answer.status == 200 and json.loads(answer.body)["items"]


def test_a_client_that_expects_100_gets_it_before_it_sends(platform):
    with Connection(platform) as c:
        c.send(post(f"Content-Length: {len(LOGIN)}\r\nExpect: 100-continue\r\n"))
        assert c.answer().status == 100
        assert c.send(LOGIN).answer().status == 401
        assert c.send(get()).answer().status == 200


@pytest.mark.parametrize("status, headers, path, content_type", [
    (413, f"Content-Length: {BODY_MAX + 1}\r\n", "/api/v1/auth/login", "application/json"),
    (415, "Content-Length: 2\r\n", "/api/v1/auth/login", "text/plain"),
    (415, "Content-Length: 2\r\nContent-Encoding: gzip\r\n", "/api/v1/auth/login", "application/json"),
    (415, "Transfer-Encoding: chunked\r\n", "/api/v1/auth/login", "text/plain"),
    (406, "Content-Length: 2\r\nAccept: text/html\r\n", "/api/v1/auth/login", "application/json"),
    (401, "Content-Length: 2\r\n", "/api/v1/orders", "application/json"),
    (404, "Content-Length: 2\r\n", "/nowhere", "application/json"),
    (405, "Content-Length: 2\r\n", "/api/v1/markets", "application/json"),
])
def test_who_expects_100_for_what_is_not_taken_is_refused_first(platform, status, headers, path, content_type):
    answer = exchange(platform, post(headers + "Expect: 100-continue\r\n", b"", path, f"Content-Type: {content_type}\r\n"))
    assert answer.status == status


def test_what_an_earlier_request_left_behind_does_not_complete_a_later_one(platform):
    """The server parses in place: a head that ends in bare LFs must not find behind it the end of the one before."""
    with Connection(platform) as c:
        assert c.send(get(headers="A: b\r\n")).answer().status == 200
        answer = c.send(get(headers="A: b\r\n")[:-4] + "\n\n").answer()
        assert answer.status == 400 and answer.closes and c.ended()


def test_nothing_follows_a_head_that_ends_in_bare_line_feeds(platform):
    """Even where the server's buffer makes it look strict: what was behind it is no request."""
    for _ in range(20):
        with Connection(platform) as c:
            answer = c.send(get(headers="A: b\r\n")[:-4] + "\n\n\r").answer()
            if answer.status == 200:
                answer = c.send(get("/smuggled")).answer()
            assert answer.status == 400 and answer.closes and c.ended()


@pytest.mark.parametrize("headers", [
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n", "Upgrade: websocket\r\nConnection: Upgrade\r\n"])
def test_an_upgrade_that_is_not_offered_is_no_upgrade(platform, headers):
    with Connection(platform) as c:
        assert c.send(get(headers=headers)).answer().status == 200


def test_headers_that_claim_another_verb_or_path_claim_nothing(platform):
    with Connection(platform) as c:
        for name in ("X-HTTP-Method-Override: DELETE", "X-Original-URL: /nowhere", "X-Rewrite-URL: /nowhere"):
            assert c.send(get(headers=name + "\r\n")).answer().status == 200


def test_a_client_that_half_closes_still_gets_its_answer(platform):
    with Connection(platform) as c:
        assert c.send(get()).half_close().answer().status == 200


def test_a_body_that_is_cut_short_is_refused(platform):
    with Connection(platform) as c:
        answer = c.send(post("Content-Length: 100\r\n", b"{")).half_close().answer()
        assert answer.status == 400 and answer.closes and c.ended()


def test_a_client_that_says_nothing_and_leaves_costs_nothing(platform):
    for _ in range(40):
        with Connection(platform) as c:
            c.half_close()
            assert c.ended()
    with Connection(platform) as c:
        assert c.send(get()).answer().status == 200


# ---- time ----

def drip(c, data, every=0.1):
    """A byte now and then, until somebody has had enough."""
    for byte in data:
        try:
            c.send(bytes([byte]))
        except OSError:
            return
        let_pass(every)
        c.socket.setblocking(False)
        try:
            if not c._more() or c.buffer:
                return
        except BlockingIOError:
            pass
        except ConnectionResetError:
            return
        finally:
            c.socket.setblocking(True)


def test_a_slow_head_is_given_up(impatient):
    with Connection(impatient) as c:
        _, took = seconds(lambda: drip(c, get(headers="A: " + "b" * 1000 + "\r\n").encode()))
        answer = c.answer()
        assert (answer.status, answer.problem["code"]) == (408, "request_timeout") and c.ended()
        assert took < 2.5 * REQUEST_MS / 1000 + 1


@pytest.mark.parametrize("headers, body", [
    ("Content-Length: 1000\r\n", b"x" * 1000),
    ("Transfer-Encoding: chunked\r\n", b"1\r\nx\r\n" * 200),
    ("Transfer-Encoding: chunked\r\n", b"0000000000000000000000000000000000000000001\r\n"),
])
def test_a_slow_body_is_given_up_when_the_time_is_over(impatient, headers, body):
    with Connection(impatient) as c:
        c.send(post(headers))
        _, took = seconds(lambda: drip(c, body))
        answer = c.answer()
        assert (answer.status, answer.problem["code"]) == (408, "body_too_slow")
        assert answer.closes and c.ended()
        assert REQUEST_MS / 1000 - 0.2 < took < REQUEST_MS / 1000 + 1.5


def test_a_silent_body_is_given_up_too(impatient):
    with Connection(impatient) as c:
        answer, took = seconds(c.send(post("Content-Length: 10\r\n", b"{")).answer)
        assert answer.status == 408 and c.ended()
        assert took < REQUEST_MS / 1000 + 1.5


def test_more_clients_that_stay_than_threads_all_get_served(platform):
    """Threads are few: when most are taken, connections end with their answer instead of idling."""
    connections = [Connection(platform) for _ in range(40)]  # the platform has 16
    try:
        for c in connections:
            c.send(get())
        for c in connections:
            answer, took = seconds(c.answer)
            assert answer.status == 200 and took < 10
    finally:
        for c in connections:
            c.socket.close()
