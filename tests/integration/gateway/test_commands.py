"""WebSocket commands as API.md has them, asked by websocket-client."""
import json

import realtime
from realtime import Case, Closed


class Commands(Case):
    def test_ping_is_answered_with_the_time(self):
        answer = self.connect().ask("ping", msg_id="7")
        self.assertEqual(answer["msgId"], "7")
        self.assertRegex(answer["result"]["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

    def test_help_lists_every_command(self):
        text = json.dumps(self.connect().result("help"))
        for command in "orders.place", "prices.quotes", "subscribe", "ping", "auth.login":
            self.assertIn(f'"{command}"', text)

    def test_a_call_carries_who_authenticated(self):
        client = self.connect()
        self.assertEqual(client.error("users.me")["code"], "unauthenticated")
        result = client.result("authenticate", token=self.host.token("ann"))
        self.assertEqual(result["userId"], "ann")
        self.assertEqual(client.result("users.me")["userId"], "ann")

    def test_authenticate_may_come_as_a_typed_message(self):
        client = self.connect()
        client.ws.send(json.dumps({"type": "authenticate",
                                   "data": {"token": self.host.token("ann")}}))
        answer = client.receive()
        self.assertTrue(answer["ok"])
        self.assertIsNone(answer["msgId"])
        self.assertEqual(client.result("users.me")["userId"], "ann")

    def test_bad_credentials_are_told_and_close_with_4003(self):
        for token in "nonsense", self.host.token("ann", seconds=-1), self.host.token("ann")[:-4] + "AAAA":
            client = self.connect()
            self.assertEqual(client.error("authenticate", token=token)["code"], "unauthenticated")
            self.assertEqual(client.close_code(), 4003)

    def test_a_connection_speaks_for_one_user(self):
        client = self.connect()
        client.result("authenticate", token=self.host.token("ann"))
        client.result("authenticate", token=self.host.token("ann", "s1", 700))  # a fresh token
        self.assertEqual(client.error("authenticate", token=self.host.token("bob"))["code"], "other_user")
        self.assertEqual(client.result("users.me")["userId"], "ann")

    def test_an_ended_session_closes_with_4003_at_its_next_command(self):
        client = self.connect()
        client.result("authenticate", token=self.host.token("ann", "ended"))
        self.host.tell("revoke ended")
        self.assertEqual(client.error("users.me")["code"], "unauthenticated")
        self.assertEqual(client.close_code(), 4003)

    def test_an_ended_session_closes_soon_without_a_command(self):
        token = self.host.token("ann", "ended-too")
        client = self.connect("nervous")
        client.result("authenticate", token=token)
        self.host.tell("revoke ended-too")
        self.assertEqual(client.close_code(), 4003)

    def test_an_expired_token_closes_with_4003(self):
        token = self.host.token("ann", "short", 3)
        client = self.connect("nervous")
        client.result("authenticate", token=token)
        self.assertEqual(client.close_code(), 4003)

    def test_who_does_not_authenticate_in_time_is_closed_with_4001(self):
        client = self.connect("nervous")
        client.result("ping")
        self.assertEqual(client.close_code(), 4001)

    def test_odd_messages_are_answered_and_the_connection_stays(self):
        client = self.connect()
        for text in ("", "ping", "[]", "{}", '{"command":"ping"}', '{"command":"ping","msgId":1}',
                     '{"command":"ping","msgId":"1","msgId":"1"}', '{"msgId":"1"}', "[" * 5000):
            client.ws.send(text)
            answer = client.receive()
            self.assertFalse(answer["ok"])
            self.assertEqual(answer["error"]["code"], "invalid_argument")
        self.assertEqual(client.error("orders.steal")["code"], "unknown_command")
        client.result("ping")

    def test_wrong_parameters_are_named(self):
        client = self.connect()
        self.assertIn("symbol", client.error("markets.depth")["message"])
        self.assertIn("symbol", client.error("markets.depth", symbol="btc usdt")["message"])
        self.assertIn("limit", client.error("markets.depth", symbol="BTC-USDT", limit="x")["message"])
        self.assertIn("colour", client.error("markets.depth", symbol="BTC-USDT", colour="red")["message"])
        self.assertEqual(client.error("ping", volume=11)["code"], "invalid_argument")

    def test_a_domain_error_has_its_word(self):
        client = self.connect()
        client.result("authenticate", token=self.host.token("ann"))
        error = client.error("orders.place", symbol="BTC-USDT", side="BUY", type="LIMIT",
                             quantity="1", price="2")
        self.assertEqual(error, {"code": "insufficient_funds", "message": "not enough USDT",
                                 "temporary": False})

    def test_what_a_part_lacks_is_told(self):
        self.assertEqual(self.connect().error("prices.quotes", symbols="BTC-USDT")["code"], "unimplemented")

    def test_refresh_tokens_are_in_the_answer_here(self):
        result = self.connect("login").result("auth.login", email="ann@example.com", password="correct horse")
        self.assertEqual(result["refreshToken"], "refresh")

    def test_the_login_port_offers_only_what_leads_to_a_login(self):
        client = self.connect("login")
        for command in "markets.list", "users.me", "subscribe", "unsubscribe", "orders.place":
            self.assertEqual(client.error(command)["code"], "not_offered")
        for command in "ping", "help":
            client.result(command)
        error = client.error("auth.login", email="ann@example.com", password="wrong")
        self.assertEqual(error["code"], "unauthenticated")

    def test_the_guest_port_offers_only_what_guests_may(self):
        client = self.connect("guest")
        for command in "users.me", "orders.place", "admin.users.get", "authenticate":
            self.assertEqual(client.error(command)["code"], "not_offered")
        self.assertEqual(client.error("subscribe", channels=["user.orders"])["code"], "not_found")
        client.result("prices.ticker", symbol="BTC-USDT")
        client.subscribe("prices:BTC-USDT")

    def test_admins_only_is_told(self):
        client = self.connect()
        client.result("authenticate", token=self.host.token("ann"))
        error = client.error("admin.users.get", userId="0" * 32)
        self.assertEqual(error["code"], "permission_denied")


class Flow(Case):
    def tearDown(self):
        self.host.tell("gate open")
        self.eventually(lambda: self.host.tell("held") == "0")

    def test_a_slow_command_keeps_none_behind_it_waiting(self):
        self.host.tell("gate shut")
        client = self.connect()
        slow = client.send("markets.depth", symbol="BTC-USDT")
        self.assertEqual(client.result("prices.ticker", symbol="ETH-USDT")["symbol"], "ETH-USDT")
        client.result("ping")
        self.host.tell("gate open")
        self.assertEqual(client.answer(slow)["result"]["symbol"], "BTC-USDT")

    def test_a_msg_id_in_flight_is_refused_and_later_free(self):
        self.host.tell("gate shut")
        client = self.connect()
        client.send("markets.depth", msg_id="7", symbol="BTC-USDT")
        self.assertEqual(client.error("prices.ticker", msg_id="7", symbol="BTC-USDT")["code"],
                         "duplicate_msg_id")
        self.host.tell("gate open")
        self.assertTrue(client.answer("7")["ok"])
        client.result("prices.ticker", msg_id="7", symbol="BTC-USDT")

    def test_so_many_commands_run_at_once_and_no_more(self):
        self.host.tell("gate shut")
        client = self.connect()
        ids = [client.send("markets.depth", symbol="BTC-USDT") for _ in range(32)]
        error = client.error("markets.depth", symbol="BTC-USDT")
        self.assertEqual((error["code"], error["temporary"]), ("too_many_commands", True))
        client.result("ping")  # the gateway's own are not calls
        self.host.tell("gate open")
        for msg_id in ids:
            self.assertTrue(client.answer(msg_id)["ok"])

    def test_a_client_may_go_while_its_commands_run(self):
        self.host.tell("gate shut")
        client = self.connect()
        for _ in range(8):
            client.send("markets.depth", symbol="BTC-USDT")
        self.eventually(lambda: self.host.tell("held") == "8")
        client.ws.close()
        self.eventually(lambda: self.host.stats()["connections"] == 0)

    def test_a_large_answer_comes_in_parts(self):
        client = self.connect()
        client.send("markets.list", msg_id="7")
        text, part, parts = "", 0, 1
        while part < parts:
            message = client.receive()
            self.assertEqual(message["msgId"], "7")
            self.assertEqual(message["part"], part + 1)
            self.assertLessEqual(len(json.dumps(message)), 66000)
            text, part, parts = text + message["data"], part + 1, message["parts"]
        self.assertGreater(parts, 1)
        answer = json.loads(text)
        self.assertEqual(answer["msgId"], "7")
        self.assertEqual(len(answer["result"]["items"]), 600)


class Presence(Case):
    def heard(self, user):
        events = json.loads(self.host.tell("presence"))["events"]
        return [event[0] for event in events if event[1:] == user]

    def test_the_first_connection_of_a_user_and_the_end_of_the_last_are_told(self):
        token = self.host.token("paula")
        first, second = self.connect(), self.connect()
        first.result("authenticate", token=token)
        second.result("authenticate", token=token)
        second.result("authenticate", token=token)  # a fresh token changes nothing
        self.eventually(lambda: self.heard("paula") == ["+"])
        first.leave()
        self.assertTrue(second.ask("ping")["ok"])
        second.leave()
        self.eventually(lambda: self.heard("paula") == ["+", "-"])
        third = self.connect()
        third.result("authenticate", token=token)
        self.eventually(lambda: self.heard("paula") == ["+", "-", "+"])


if __name__ == "__main__":
    realtime.main()
