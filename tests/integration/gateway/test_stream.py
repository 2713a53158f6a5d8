"""Server-sent events by curl and by requests."""
import subprocess
import threading
import unittest

import requests  # python3-requests

import realtime
from realtime import Case, SOON


class Stream:
    """An SSE connection, parsed as WHATWG says."""

    def __init__(self, host, channels, last=None, token=None, query="", **headers):
        self.url = f"http://127.0.0.1:{host.ports['rest']}/api/v1/stream?channels={channels}{query}"
        if last:
            headers["Last-Event-ID"] = last
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.response = requests.get(self.url, headers=headers, stream=True, timeout=SOON)
        self.lines = self.response.iter_lines(chunk_size=1, decode_unicode=True)
        self.last_id = self.retry = None
        self.comments = 0
        if self.response.status_code == 200:
            self.block()  # the first one: retry and the cursor

    def block(self):
        """One block of lines as {"event", "data"}; the id and the rest are kept."""
        event = {}
        for line in self.lines:
            if not line:
                return event
            name, _, value = line.partition(": ")
            if line.startswith(":"):
                self.comments += 1
            elif name == "id":
                self.last_id = value
            elif name == "retry":
                self.retry = value
            else:
                event[name] = value
        raise EOFError

    def event(self):
        while True:
            event = self.block()
            if "data" in event:
                event["data"] = requests.compat.json.loads(event["data"])
                return event

    def trade(self):
        return int(self.event()["data"]["data"]["trade"]["tradeId"])

    def close(self):
        self.response.close()


class Sse(Case):
    def stream(self, *arguments, **keywords):
        stream = Stream(self.host, *arguments, **keywords)
        self.addCleanup(stream.close)
        return stream

    def gone(self):
        self.eventually(lambda: self.host.stats()["connections"] == 0)

    def tearDown(self):
        self.doCleanups()
        self.gone()

    def test_curl_sees_headers_retry_id_and_data(self):
        url = f"http://127.0.0.1:{self.host.ports['rest']}/api/v1/stream?channels=trades:BTC-USDT"
        curl = subprocess.Popen(["curl", "-sNi", "--max-time", str(SOON), url], stdout=subprocess.PIPE, text=True)
        lines = []
        while not lines or not lines[-1].startswith("id:"):
            lines.append(curl.stdout.readline())
        self.host.publish_trade(7)
        while not lines[-1].startswith("data:"):
            lines.append(curl.stdout.readline())
        curl.terminate()
        curl.wait()
        curl.stdout.close()
        text = "".join(lines)
        for expected in ("HTTP/1.1 200 OK", "Content-Type: text/event-stream", "X-Accel-Buffering: no",
                         "Cache-Control: no-store", "retry: 3000\n", '"tradeId":"7"'):
            self.assertIn(expected, text)
        self.assertRegex(text, r"id: \d+-\d+\ndata: \{\"type\":\"market.trade\",\"channel\":\"trades:BTC-USDT\"")

    def test_many_channels_share_a_stream(self):
        stream = self.stream("trades:BTC-USDT,trades:ETH-USDT,prices:ETH-USDT")
        self.host.publish_trade(1)
        self.host.publish_trade(2, "ETH-USDT")
        self.host.publish_trade(3, "XRP-USDT")
        self.host.publish_price(4, "ETH-USDT")
        self.assertEqual([stream.event()["data"]["channel"] for _ in range(3)],
                         ["trades:BTC-USDT", "trades:ETH-USDT", "prices:ETH-USDT"])

    def test_both_ways_to_resume_give_exactly_what_was_missed(self):
        first = self.stream("trades:BTC-USDT,trades:ETH-USDT")
        self.host.publish_trade(1)
        self.assertEqual(first.trade(), 1)
        first.close()
        for number in 2, 3, 4:
            self.host.publish_trade(number, "BTC-USDT" if number % 2 else "ETH-USDT")
        for stream in (self.stream("trades:BTC-USDT,trades:ETH-USDT", last=first.last_id),
                       self.stream("trades:BTC-USDT,trades:ETH-USDT", query="&lastEventId=" + first.last_id)):
            self.assertEqual([stream.trade() for _ in range(3)], [2, 3, 4])
        self.host.publish_trade(5)
        self.assertEqual(stream.trade(), 5)

    def test_a_stream_of_several_topics_resumes_each(self):
        token = self.host.token("ann")
        channels = "trades:BTC-USDT,user.orders,user.balances"
        first = self.stream(channels, token=token)
        self.host.publish_trade(1)
        self.host.publish_order("ann", 2)
        self.host.publish_balance("ann")
        self.assertEqual({first.event()["data"]["type"] for _ in range(3)},
                         {"market.trade", "order.filled", "balance.updated"})
        first.close()
        self.host.publish_balance("ann", "BTC")
        self.host.publish_order("ann", 3)
        self.host.publish_order("bob", 4)
        self.host.publish_trade(5)
        second = self.stream(channels, token=token, last=first.last_id)
        self.assertEqual(sorted(second.event()["data"]["type"] for _ in range(3)),
                         ["balance.updated", "market.trade", "order.filled"])

    def test_reconnecting_while_events_flow_has_no_gap_and_no_repeat(self):
        count, room, seen, last = 300, threading.Semaphore(60), [], None
        stream = self.stream("trades:BTC-USDT")

        def publish():
            for number in range(count):
                room.acquire()
                self.host.publish_trade(number)

        thread = threading.Thread(target=publish)
        thread.start()
        while len(seen) < count:
            for _ in range(min(41, count - len(seen))):
                seen.append(stream.trade())
                room.release()
            last = stream.last_id
            stream.close()
            stream = Stream(self.host, "trades:BTC-USDT", last=last)
            while stream.response.status_code == 503:  # those before have not been noticed yet
                stream = Stream(self.host, "trades:BTC-USDT", last=last)
        stream.close()
        thread.join()
        self.assertEqual(seen, list(range(count)))

    def test_where_the_past_is_gone_a_resync_says_so(self):
        stream = self.stream("trades:BTC-USDT,prices:BTC-USDT", last="1-1")
        events = [stream.event() for _ in range(2)]
        self.assertEqual([event["event"] for event in events], ["resync", "resync"])
        self.assertEqual({event["data"]["channel"] for event in events}, {"trades:BTC-USDT", "prices:BTC-USDT"})
        self.host.publish_trade(1)
        self.assertEqual(stream.trade(), 1)

    def test_a_cursor_of_other_channels_is_resynced(self):
        stream = self.stream("trades:BTC-USDT", last="1-1,2-2")
        self.assertEqual(stream.event()["event"], "resync")

    def test_heartbeats_carry_the_cursor_on(self):
        stream = self.stream("trades:BTC-USDT")
        before = int(stream.last_id.split("-")[1])
        self.host.publish_trades(0, 50, "ETH-USDT")
        while int(stream.last_id.split("-")[1]) < before + 50:
            self.assertEqual(stream.block(), {})
        self.assertGreater(stream.comments, 0)
        again = self.stream("trades:BTC-USDT", last=stream.last_id)
        self.host.publish_trade(7)
        self.assertEqual(again.trade(), 7)

    def test_own_channels_need_a_token(self):
        for stream in self.stream("user.orders"), self.stream("trades:BTC-USDT,user.balances"):
            self.assertEqual(stream.response.status_code, 401)
            self.assertEqual(stream.response.json()["code"], "unauthenticated")
        mine = self.stream("user.orders", token=self.host.token("ann"))
        self.host.publish_order("bob", 1)
        self.host.publish_order("ann", 2)
        self.assertEqual(mine.event()["data"]["data"]["order"]["orderId"], "2")

    def test_who_logged_out_meanwhile_is_told_to_stop(self):
        self.assertEqual(self.stream("user.orders", last="5-5").response.status_code, 204)

    def test_an_ended_session_ends_its_stream(self):
        stream = self.stream("user.orders", token=self.host.token("ann", "stream"))
        self.host.tell("revoke stream")
        with self.assertRaises(EOFError):
            while True:
                stream.block()

    def test_odd_requests_are_refused(self):
        for channels, query, last, code in (("nope", "", None, "invalid_channel"),
                                            ("", "", None, "invalid_argument"),
                                            ("trades:BTC-USDT", "&since=1", None, "invalid_argument"),
                                            ("trades:BTC-USDT", "&lastEventId=5", None, "invalid_argument"),
                                            ("trades:BTC-USDT", "", "x-1", "invalid_argument"),
                                            ("trades:BTC-USDT", "", "1-1," * 70, "invalid_argument"),
                                            (",".join(["trades:A-B"] * 101), "", None, "invalid_argument")):
            response = self.stream(channels, query=query, last=last).response
            self.assertEqual((response.status_code, response.json()["code"]), (400, code), channels)

    def test_head_gives_the_headers_only(self):
        response = requests.head(
            f"http://127.0.0.1:{self.host.ports['rest']}/api/v1/stream?channels=trades:BTC-USDT", timeout=SOON)
        self.assertEqual((response.status_code, response.headers["Content-Type"]), (200, "text/event-stream"))

    def test_a_user_has_so_many_connections_and_no_more(self):
        token = self.host.token("crowd")
        streams = [self.stream("trades:BTC-USDT", token=token) for _ in range(3)]
        client = self.connect()
        client.result("authenticate", token=token)
        more = self.stream("trades:BTC-USDT", token=token).response
        self.assertEqual((more.status_code, more.json()["code"]), (429, "too_many_connections"))
        self.assertEqual(more.headers["Retry-After"], "3")
        self.host.publish_trade(1)
        self.assertEqual([stream.trade() for stream in streams], [1] * 3)
        late = self.connect()
        self.assertEqual(late.error("authenticate", token=token)["code"], "too_many_connections")
        self.assertEqual(late.close_code(), 4009)
        client.leave()
        self.eventually(lambda: self.stream("trades:BTC-USDT", token=token).response.status_code == 200)


class Stop(unittest.TestCase):
    def test_streams_end_and_new_ones_are_refused(self):
        host = realtime.Host()
        self.addCleanup(host.stop)
        streams = [Stream(host, "trades:BTC-USDT") for _ in range(3)]
        self.assertLess(int(host.tell("drain")), 5000)
        hints = []
        for stream in streams:
            with self.assertRaises(EOFError):
                while True:
                    stream.block()
            hints.append(int(stream.retry))
            stream.close()
        self.assertEqual(len(set(hints)), 3)  # nobody comes back at the same time
        self.assertTrue(all(3000 <= hint <= 8000 for hint in hints), hints)
        late = Stream(host, "trades:BTC-USDT")
        self.assertEqual(late.response.status_code, 503)
        late.close()
        late = Stream(host, "trades:BTC-USDT", Accept="text/event-stream")  # a browser: come back
        self.assertEqual((late.response.status_code, late.retry), (200, "3000"))
        with self.assertRaises(EOFError):
            late.block()
        late.close()


if __name__ == "__main__":
    realtime.main()
