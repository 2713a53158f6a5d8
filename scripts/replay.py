"""Replays a file of order messages through the public API as several users and says what happened.

A message file has the columns seq,type,side,ioc,quantity,order_id,price_ticks; a report file has one line per
outcome (ack, modified, cancelled, trade, ..._rejected). The report lines made here come from the API's answers
alone; who was the maker of a trade is learned from the makers' own trade lists at the end.
"""

import csv
import gzip
import http.client
import json
import ssl
import time
import urllib.parse
from decimal import Decimal

SYMBOL = "BTC-USDT"
PRICE_OF_A_TICK = Decimal("1")      # USDT
QUANTITY_OF_A_UNIT = Decimal("0.001")  # BTC, in the long flows
UNIT_OF_A_CASE = Decimal("1")          # BTC, in the corner cases: their prices are small
KEEP_ALIVE_S = 5


TLS = ssl.create_default_context()


def trust(ca):
    """Also who is signed by this CA (a PEM file)."""
    TLS.load_verify_locations(ca)


def connect(url, **options):
    if url.scheme == "https":
        return http.client.HTTPSConnection(url.hostname, url.port, context=TLS, **options)
    return http.client.HTTPConnection(url.hostname, url.port, **options)


class ApiError(Exception):
    def __init__(self, status, problem):
        super().__init__(f"{status} {problem.get('code')}: {problem.get('detail')}")
        self.status, self.code, self.problem = status, problem.get("code"), problem


class Api:
    """One keep-alive connection to the REST API, with or without an access token."""

    def __init__(self, url, token=None):
        self.url = urllib.parse.urlsplit(url)
        self.token = token
        self.connection = connect(self.url, timeout=30)
        self.used = time.monotonic()

    def call(self, verb, path, body=None, **query):
        target = self.url.path + path
        if query:
            target += "?" + urllib.parse.urlencode(query)
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        if time.monotonic() - self.used > KEEP_ALIVE_S:
            self.connection.close()  # the server may have closed it by now; the request opens another
        self.used = time.monotonic()
        self.connection.request(verb, target, json.dumps(body) if body is not None else None, headers)
        response = self.connection.getresponse()
        text = response.read()
        answer = json.loads(text) if text else {}
        if response.status >= 400:
            raise ApiError(response.status, answer)
        return answer

    def pages(self, path, **query):
        """Every item of a paged list."""
        cursor = ""
        while True:
            page = self.call("GET", path, limit=200, **query, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["nextCursor"]
            if not cursor:
                return


def log_in(url, email, password):
    api = Api(url)
    api.token = api.call("POST", "/auth/login", {"email": email, "password": password})["accessToken"]
    return api


def make_trader(url, admin, name, password, funds):
    """A user with that name, registered and credited if new; the credits happen once per transfer id."""
    email = f"{name}@example.com"
    try:
        Api(url).call("POST", "/auth/register", {"email": email, "username": name, "password": password})
    except ApiError as error:
        if error.status != 409:
            raise
    api = log_in(url, email, password)
    user_id = api.call("GET", "/users/me")["userId"]
    for asset, amount in funds.items():
        admin.call("POST", "/admin/credits",
                   {"transferId": f"demo-{name}-{asset}", "userId": user_id, "asset": asset, "amount": amount})
    return api


def read_messages(path):
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


def case_messages(case):
    """The orders of a corner case, as the files have them."""
    for seq, order in enumerate(case["orders"]):
        yield {key: str(value) for key, value in order.items()} | {"seq": str(seq), "ioc": "1" if order["ioc"] else "0"}


def read_reports(path):
    with gzip.open(path, "rt") as file:
        return [line.rstrip("\n") for line in file]


def plain(value):
    """A decimal without trailing zeros or exponent: ticks and units are integers."""
    return str(int(value))


class Replay:
    """The traders share the orders by order id; every message waits for its answer."""

    def __init__(self, traders, unit=QUANTITY_OF_A_UNIT):
        self.traders = traders
        self.unit = unit   # what one of the file's quantity is
        self.open = {}     # the file's order id -> (trader, our order id, side, price in ticks)
        self.theirs = {}   # our order id -> the file's order id
        self.lines = []    # report lines; a trade is (seq, fill, taker's order id in the file)
        self.messages = 0

    def send(self, message):
        getattr(self, "send_" + message["type"])(message)
        self.messages += 1

    def order_body(self, message):
        return {
            "quantity": str(int(message["quantity"]) * self.unit),
            "price": str(int(message["price_ticks"]) * PRICE_OF_A_TICK),
        }

    def accepted(self, line, message, trader, order):
        theirs = message["order_id"]
        self.lines.append(line)
        self.open[theirs] = (trader, order["orderId"], message["side"], message["price_ticks"])
        self.theirs[order["orderId"]] = theirs
        self.lines += [(message["seq"], fill, theirs) for fill in order["fills"]]
        if order["status"] == "CANCELLED":  # what was left of an IOC order
            self.lines.append("cancelled,{seq},{side},{order_id},{price_ticks}".format(**message))

    def send_new(self, message):
        trader = self.traders[int(message["order_id"]) % len(self.traders)]
        body = self.order_body(message) | {
            "symbol": SYMBOL, "side": message["side"].upper(), "type": "LIMIT",
            "timeInForce": "IOC" if message["ioc"] == "1" else "GTC",
        }
        order = trader.call("POST", "/orders", body)
        line = "ack,{seq},{side},{order_id},{price_ticks},{quantity}".format(**message)
        self.accepted(line, message, trader, order)

    def send_modify(self, message):
        trader, order_id, side, _ = self.open.get(message["order_id"], (self.traders[0], "1", None, None))
        try:
            order = trader.call("PUT", f"/orders/{order_id}", self.order_body(message))
        except ApiError as error:
            if error.status not in (404, 422):
                raise
            self.lines.append("modify_rejected,{seq},{order_id}".format(**message))
            return
        line = "modified,{seq},{side},{order_id},{price_ticks},{quantity}".format(**message | {"side": side})
        self.accepted(line, message | {"side": side}, trader, order)

    def send_cancel(self, message):
        trader, order_id, side, ticks = self.open.get(message["order_id"], (self.traders[0], "1", None, None))
        try:
            trader.call("DELETE", f"/orders/{order_id}")
        except ApiError as error:
            if error.status not in (404, 422):
                raise
            self.lines.append("cancel_rejected,{seq},{order_id}".format(**message))
            return
        self.lines.append(f"cancelled,{message['seq']},{side},{message['order_id']},{ticks}")

    def reports(self):
        """The report lines, with the makers filled in from the traders' own trade lists."""
        makers = {}
        for trader in self.traders:
            for trade in trader.pages("/trades"):
                if trade["maker"] and trade["orderId"] in self.theirs:
                    makers[trade["tradeId"]] = self.theirs[trade["orderId"]]
        for line in self.lines:
            if isinstance(line, str):
                yield line
                continue
            seq, fill, taker = line
            price = plain(Decimal(fill["price"]) / PRICE_OF_A_TICK)
            quantity = plain(Decimal(fill["quantity"]) / self.unit)
            yield f"trade,{seq},{price},{quantity},{makers[fill['tradeId']]},{taker}"


def cancel_everything(traders):
    for trader in traders:
        trader.call("DELETE", "/orders")
