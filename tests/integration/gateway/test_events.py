"""Events on the WebSocket: who gets them, resuming without gap or repeat, slow readers."""
import json
import threading

import realtime
from realtime import Case, Closed


class Events(Case):
    def seqs(self, client, count):
        return [int(client.event()["seq"]) for _ in range(count)]

    def test_an_event_has_its_form(self):
        client = self.connect()
        at, = client.subscribe("trades:BTC-USDT")
        self.assertEqual((at["channel"], at["recovered"]), ("trades:BTC-USDT", False))
        self.host.publish_trade(7)
        event = client.event()
        self.assertRegex(event.pop("timestamp"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(event["data"]["trade"]["tradeId"], "7")
        self.assertEqual(event["data"]["trade"]["symbol"], "BTC-USDT")
        del event["data"]
        self.assertEqual(event, {"type": "market.trade", "channel": "trades:BTC-USDT",
                                 "epoch": at["epoch"], "seq": str(int(at["seq"]) + 1)})

    def test_each_gets_only_what_it_listens_to(self):
        btc, eth = self.connect(), self.connect("guest")
        btc.subscribe("trades:BTC-USDT")
        eth.subscribe("trades:ETH-USDT", "prices:ETH-USDT")
        self.host.publish_trade(1)
        self.host.publish_trade(2, "ETH-USDT")
        self.host.publish_price(3, "ETH-USDT")
        self.host.publish_trade(4)
        self.assertEqual([btc.event()["data"]["trade"]["tradeId"] for _ in range(2)], ["1", "4"])
        self.assertEqual([eth.event()["channel"] for _ in range(2)], ["trades:ETH-USDT", "prices:ETH-USDT"])

    def test_private_channels_are_everybodys_own(self):
        ann, bob = self.connect(), self.connect()
        error = ann.error("subscribe", channels=["user.orders"])
        self.assertEqual(error["code"], "unauthenticated")
        for client, user in (ann, "ann"), (bob, "bob"):
            client.result("authenticate", token=self.host.token(user))
            items = client.subscribe("user.orders", "user.balances")
            self.assertEqual([item["channel"] for item in items], ["user.orders", "user.balances"])
        self.host.publish_order("ann", 1)
        self.host.publish_order("bob", 2)
        self.assertEqual(ann.event()["data"]["order"]["orderId"], "1")
        self.host.publish_balance("ann", "BTC")
        event = ann.event()
        self.assertEqual((event["channel"], event["type"]), ("user.balances", "balance.updated"))
        self.assertEqual(event["data"]["balance"]["asset"], "BTC")
        self.assertEqual(bob.event()["data"]["order"]["orderId"], "2")

    def test_after_unsubscribing_nothing_comes(self):
        client = self.connect()
        client.subscribe("trades:BTC-USDT", "trades:ETH-USDT")
        client.result("unsubscribe", channels=["trades:BTC-USDT"])
        self.host.publish_trade(1)
        self.host.publish_trade(2, "ETH-USDT")
        self.assertEqual(client.event()["channel"], "trades:ETH-USDT")

    def test_an_event_that_no_channel_carries_is_dropped(self):
        client = self.connect()
        client.subscribe("trades:BTC-USDT")
        self.host.tell("publish trading.market BTC-USDT market.rumour {}")
        self.host.tell("publish trading.market BTC-USDT market.trade garbage")
        self.host.publish_trade(3)
        self.assertEqual(client.event()["data"]["trade"]["tradeId"], "3")

    def test_other_channels_are_refused_with_the_right_ones(self):
        client = self.connect()
        for channel in "prices", "prices:", "prices:btc/usdt", "user.orders/ann", "nope":
            error = client.error("subscribe", channels=["prices:BTC-USDT", channel])
            self.assertEqual(error["code"], "invalid_channel")
            self.assertIn("prices:{symbol}", error["message"])
        self.assertIn("channels", client.error("subscribe", channels=[])["message"])
        self.assertIn("100", client.error("subscribe", channels=["prices:A-B"] * 101)["message"])
        self.eventually(lambda: self.host.stats()["subscriptions"] == 0)

    def test_a_connection_has_so_many_channels_and_no_more(self):
        client = self.connect()
        names = [f"prices:A{number}-USDT" for number in range(256)]
        for first in range(0, 256, 64):
            client.subscribe(*names[first:first + 64])
        error = client.error("subscribe", channels=["prices:BTC-USDT"])
        self.assertEqual(error["code"], "resource_exhausted")
        client.subscribe(names[0])  # not one more
        client.result("unsubscribe", channels=names[:1])
        client.subscribe("prices:BTC-USDT")

    def test_who_has_gone_leaves_nothing_behind(self):
        client = self.connect()
        client.subscribe("trades:BTC-USDT", "prices:BTC-USDT")
        client.ws.shutdown()  # no close handshake
        self.eventually(lambda: self.host.stats()["subscriptions"] == 0)
        self.eventually(lambda: self.host.stats()["channels"] == 0)


class Resume(Case):
    """Each test comes back after it missed something."""

    def position(self, event):
        return {"epoch": event["epoch"], "seq": event["seq"]}

    def test_what_was_missed_comes_first_and_then_what_is_live(self):
        client = self.connect()
        at, = client.subscribe("trades:BTC-USDT")
        self.host.publish_trade(1)
        last = client.event()
        client.ws.shutdown()
        for number in 2, 3, 4:
            self.host.publish_trade(number)
            self.host.publish_trade(100 + number, "ETH-USDT")
        client = self.connect()
        item, = client.subscribe("trades:BTC-USDT", since=self.position(last))
        self.assertTrue(item["recovered"])
        self.host.publish_trade(5)
        self.assertEqual([client.event()["data"]["trade"]["tradeId"] for _ in range(4)], ["2", "3", "4", "5"])

    def test_nothing_missed_is_recovered_too(self):
        client = self.connect()
        at, = client.subscribe("trades:BTC-USDT")
        again, = self.connect().subscribe("trades:BTC-USDT", since=self.position(at))
        self.assertTrue(again["recovered"])
        self.assertEqual((again["epoch"], again["seq"]), (at["epoch"], at["seq"]))

    def test_of_prices_only_the_newest_was_missed(self):
        client = self.connect()
        at, = client.subscribe("prices:BTC-USDT")
        client.ws.shutdown()
        witness = self.connect()
        witness.subscribe("prices:BTC-USDT")
        for last in range(50):
            self.host.publish_price(last)
        while witness.event()["data"]["last"] != "49":
            pass  # until the gateway has had them all
        client = self.connect()
        item, = client.subscribe("prices:BTC-USDT", since=self.position(at))
        self.assertTrue(item["recovered"])
        self.host.publish_price(99)
        self.assertEqual([client.event()["data"]["last"] for _ in range(2)], ["49", "99"])

    def test_where_the_past_is_gone_a_resync_says_so(self):
        client = self.connect()
        at, = client.subscribe("trades:BTC-USDT")
        client.ws.shutdown()
        witness = self.connect()
        witness.subscribe("trades:BTC-USDT")
        self.host.publish_trades(0, 2000)  # more than the ring keeps
        while witness.event()["data"]["trade"]["tradeId"] != "1999":
            pass  # until the gateway has had them all
        for since in (self.position(at), {"epoch": "1", "seq": "1"},
                      {"epoch": at["epoch"], "seq": "999999"}):
            client = self.connect()
            item, = client.subscribe("trades:BTC-USDT", since=since)
            self.assertFalse(item["recovered"])
            resync = client.event()
            self.assertEqual(resync, {"type": "resync", "channel": "trades:BTC-USDT",
                                      "epoch": item["epoch"], "seq": item["seq"]})

    def test_a_publisher_that_started_anew_is_told_to_all_its_listeners(self):
        market, mine = self.connect(), self.connect()
        at, = market.subscribe("trades:BTC-USDT")
        mine.result("authenticate", token=self.host.token("ann"))
        mine.subscribe("user.orders")
        mine.subscribe("user.balances")
        self.host.tell("restart")
        resync = market.event()
        self.assertEqual((resync["type"], resync["channel"]), ("resync", "trades:BTC-USDT"))
        self.assertNotEqual(resync["epoch"], at["epoch"])
        self.assertEqual(mine.event()["channel"], "user.orders")
        self.host.publish_trade(1)
        event = market.event()
        self.assertEqual((event["epoch"], event["seq"]), (resync["epoch"], str(int(resync["seq"]) + 1)))
        self.host.publish_balance("ann")  # wallet has not started anew
        self.assertEqual(mine.event()["type"], "balance.updated")

    def test_since_is_for_one_channel(self):
        error = self.connect().error("subscribe", channels=["trades:A-B", "trades:B-C"],
                                     since={"epoch": "1", "seq": "1"})
        self.assertIn("since", error["message"])

    def test_reconnecting_while_events_flow_has_no_gap_and_no_repeat(self):
        client = self.connect()
        first, = client.subscribe("trades:BTC-USDT")
        count, room = 1200, threading.Semaphore(100)  # the ring keeps more than a hundred

        def publish():
            for number in range(count):
                room.acquire()
                self.host.publish_trade(number)

        thread = threading.Thread(target=publish)
        thread.start()
        seen, since, rounds = [], first, 0
        while len(seen) < count:
            rounds += 1
            client = self.connect()
            item, = client.subscribe("trades:BTC-USDT", since=self.position(since))
            self.assertTrue(item["recovered"])
            for _ in range(min(37, count - len(seen))):
                event = client.event()
                seen.append(int(event["data"]["trade"]["tradeId"]))
                since = event
                room.release()
            client.leave()
        thread.join()
        self.assertEqual(seen, list(range(count)))
        self.assertGreater(rounds, 10)


class SlowReaders(Case):
    def test_who_does_not_read_is_closed_and_disturbs_nobody(self):
        slow = self.raw(receive_buffer=4096)
        slow.text({"command": "subscribe", "msgId": "1", "channels": ["trades:BTC-USDT"]})
        slow.receive()
        fast = self.connect()
        fast.subscribe("trades:BTC-USDT")
        published, read, before = 0, 0, self.host.stats()["slow"]
        while self.host.stats()["slow"] == before:
            self.host.publish_trades(published, 200)
            published += 200
            while read < published:
                self.assertEqual(fast.event()["data"]["trade"]["tradeId"], str(read))
                read += 1
            self.assertLess(published, 200000)
        self.eventually(lambda: self.host.stats()["connections"] == 1)
        self.assertEqual(self.host.stats()["slow"], before + 1)
        fast.result("ping")

    def test_who_reads_again_in_time_sees_the_verdict_4008(self):
        slow = self.raw(receive_buffer=65536)
        slow.text({"command": "subscribe", "msgId": "1", "channels": ["trades:BTC-USDT"]})
        slow.receive()
        before, number = self.host.stats()["slow"], 0
        while self.host.stats()["slow"] == before:
            self.host.publish_trades(number, 200)
            number += 200
        self.assertEqual(slow.close_code(), 4008)

    def test_a_slow_reader_of_prices_gets_the_newest(self):
        slow = self.raw(receive_buffer=4096)
        slow.text({"command": "subscribe", "msgId": "1", "channels": ["prices:BTC-USDT"]})
        slow.receive()
        last, before = 0, self.host.stats()["conflated"]
        while self.host.stats()["conflated"] < before + 100:
            last += 1
            self.host.publish_price(last)
            self.assertLess(last, 100000)
        seen = 0
        while seen < last:
            data = json.loads(slow.receive()[1])["data"]
            self.assertGreater(int(data["last"]), seen)
            seen = int(data["last"])


if __name__ == "__main__":
    realtime.main()
