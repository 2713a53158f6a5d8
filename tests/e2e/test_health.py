"""What operators look at: health, readiness, metrics; and what newcomers read: help, OpenAPI."""

import re
import signal

import pytest
import requests

import prometheus_text
from platform_under_test import PASSWORD, SERVICES, SYMBOL, wait_until
from sockets import CommandFailed, Socket


def get(url):
    return requests.get(url, timeout=5)


def test_a_running_platform_is_alive_and_ready(platform):
    for path in ("/healthz", "/readyz"):
        assert get(platform.internal + path).status_code == 200
    status = get(platform.internal + "/health").json()
    assert status["status"] == "SERVING" and status["version"]
    assert int(status["uptimeS"]) >= 0
    assert {d["name"]: d["status"] for d in status["dependencies"]}.items() >= {p: "SERVING" for p in SERVICES}.items()


def test_guests_are_told_no_details(platform):
    for address in (platform.origin, f"http://{platform.address('guest')}"):
        status = get(address + "/health").json()
        assert status["status"] == "SERVING" and not status.get("dependencies") and not status.get("connections")


def test_health_and_metrics_are_on_the_internal_port_only(platform):
    for path in ("/metrics", "/readyz", "/healthz"):
        assert get(platform.origin + path).status_code == 404
    assert get(platform.internal + "/api/v1/markets").status_code == 404


@pytest.mark.parametrize("part", SERVICES)
def test_without_a_part_the_platform_is_alive_but_not_ready(new_platform, part):
    platform = new_platform("split").start()
    platform.kill(part)
    wait_until(lambda: get(platform.internal + "/readyz").status_code == 503, what=f"readyz to miss {part}")
    assert get(platform.internal + "/healthz").status_code == 200
    status = get(platform.internal + "/health").json()
    missing = next(d for d in status["dependencies"] if d["name"] == part)
    assert missing["status"] == "NOT_SERVING" and missing["detail"]
    platform.start(part)
    assert platform.user("late", USDT="1").balance("USDT").total == 1


def test_without_its_servers_it_is_not_ready_and_comes_back_by_itself(new_platform):
    """The cache stops answering for a while (SIGSTOP): 503 in the meantime, then all is well again."""
    platform = new_platform("split").start()
    ann = platform.user("ann", USDT="1")
    redis = platform.servers[0]
    redis.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: get_status(platform, "/readyz") == 503, what="readyz to miss the cache")
        assert ann.call("GET", "/users/me").status_code == 503, "who was logged out cannot be known: nobody gets in"
    finally:
        redis.send_signal(signal.SIGCONT)
    platform.wait_ready()
    assert wait_until(lambda: ann.call("GET", "/users/me").status_code == 200, what="the cache to be used again")


def get_status(platform, path):
    try:
        return get(platform.internal + path).status_code
    except requests.RequestException:
        return None


def test_the_metrics_are_well_formed_and_count(platform, ann):
    before = prometheus_text.read(get(platform.internal + "/metrics").text)
    for _ in range(5):
        ann.get("/users/me")
    response = get(platform.internal + "/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    after = prometheus_text.read(response.text)
    assert set(before) <= set(after)
    assert all(re.match(r"(tradepost|process)_", name) for name in after)
    assert {"process_resident_memory_bytes", "process_cpu_seconds_total"} <= set(after)
    name, key = "tradepost_gateway_requests_total", ("tradepost_gateway_requests_total", 'listener="rest",status="2xx"')
    assert after[name][1][key] >= before[name][1][key] + 5
    seconds = after["tradepost_gateway_request_seconds"][1]
    assert seconds["tradepost_gateway_request_seconds_count", 'listener="rest"'] >= 5


def test_help_and_openapi_list_the_same(platform):
    operations = {(o["verb"], o["path"]) for o in platform.guest().get("/help")["operations"] if o["path"]}
    document = get(platform.origin + "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    described = {(verb.upper(), path) for path, verbs in document["paths"].items() for verb in verbs
                 if verb in ("get", "put", "post", "delete", "patch")}
    assert operations == described and len(described) > 20


def test_everything_in_openapi_is_really_there(platform):
    """No 404 of the router and no 405: somebody answers, if only with 401 or 400."""
    for path, verbs in get(platform.origin + "/openapi.json").json()["paths"].items():
        concrete = path.replace("{symbol}", SYMBOL).replace("{orderId}", "1").replace("{userId}", "0" * 32)
        concrete = concrete.replace("{page}", "errors")
        for verb in verbs:
            if verb not in ("get", "put", "post", "delete", "patch"):
                continue
            response = requests.request(verb, platform.origin + concrete, json={} if verb in ("put", "post") else None,
                                        timeout=5, stream=True)
            assert response.status_code in (200, 400, 401), f"{verb} {path}: {response.status_code}"
            other = requests.request("PATCH", platform.origin + concrete, json={}, timeout=5)
            assert other.status_code == 405 and verb.upper() in other.headers["Allow"]


def test_every_command_of_help_is_known_to_the_websocket(platform, ann):
    commands = [o["command"] for o in platform.guest().get("/help")["operations"] if o["command"]]
    assert len(commands) > 20
    with Socket(platform.ws(), ann) as socket:
        for command in commands:
            if command in ("authenticate", "auth.logout", "orders.cancelAll"):
                continue
            try:
                socket.command(command)
            except CommandFailed as failed:
                assert failed.code not in ("not_found", "unimplemented", "unknown_command", "internal"), command


def test_every_channel_of_help_can_be_subscribed(platform, ann):
    channels = {c["name"].replace("{symbol}", SYMBOL) for c in platform.guest().get("/help")["channels"]}
    with Socket(platform.ws(), ann) as socket:
        assert {i["channel"] for i in socket.subscribe(*sorted(channels))} == channels


def test_every_answer_carries_the_security_headers_and_a_request_id(platform, ann):
    for response in (ann.call("GET", "/users/me"), get(platform.origin + "/nothing"), get(platform.url + "/markets")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-Id"])
        assert "Server" not in response.headers


def test_an_unchanged_answer_is_not_sent_again(platform):
    first = get(platform.url + "/markets")
    again = requests.get(platform.url + "/markets", headers={"If-None-Match": first.headers["ETag"]}, timeout=5)
    assert (again.status_code, again.content) == (304, b"")


def test_head_and_options_work(platform):
    head, whole = requests.head(platform.url + "/markets", timeout=5), get(platform.url + "/markets")
    assert head.status_code == 200 and head.content == b""
    assert head.headers["Content-Length"] == str(len(whole.content))
    options = requests.options(platform.url + "/orders", timeout=5)
    assert options.status_code == 204 and {"GET", "POST", "DELETE"} <= set(re.split(", *", options.headers["Allow"]))


def test_no_secret_is_in_the_log(platform, ann):
    log = platform.log()
    assert '"path":"/api/v1/auth/login"' in log
    for secret in (PASSWORD, ann.token, ann.token.split(".")[2]):
        assert secret not in log
