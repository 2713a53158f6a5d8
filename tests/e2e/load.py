"""Many clients at once, who remember what they were told; and the proof that it all still holds.

Each client is a user with a thread of its own. It places, cancels, transfers and writes down every answer:
acknowledged, refused, or unknown (no answer, or a 5xx). verify() then asks the platform for everything again.
"""

import collections
import random
import threading
from decimal import Decimal

import requests

from platform_under_test import Refused, wait_until

PATIENCE_S = 120  # the MongoDB-compatible server reads whole collections, and the load fills them

SYMBOLS = ("BTC-USDT", "ETH-USDT")
FUNDS = {"USDT": Decimal("1000000"), "BTC": Decimal("100"), "ETH": Decimal("1000")}
PRICES = {"BTC-USDT": 50000, "ETH-USDT": 3000}
REPEATS = 3  # of what was acknowledged, tried again at every verification


def decimals(order, *keys):
    return tuple(Decimal(order[k]) for k in keys)


class Client:
    """One user under load. The thread writes the notes; verify() reads them while the thread rests."""

    def __init__(self, user, seed):
        self.user = user
        self.random = random.Random(seed)
        self.number = 0
        self.orders = {}     # clientOrderId -> [body, the acknowledged order or None]
        self.fills = {}      # (tradeId, orderId) -> the acknowledged fill
        self.cancelled = {}  # orderId -> the acknowledged order
        self.transfers = {}  # transferId -> [body, the acknowledged transfer or None]
        self.acknowledged = self.unknown = 0
        self.why = None      # the last unknown outcome's error
        self.problems = []   # what should never be answered

    def name(self, what):
        self.number += 1
        return f"{what}-{self.number}"

    def attempt(self, action):
        """The answer; None when the outcome is unknown; False when it was refused."""
        try:
            answer = action()
            self.acknowledged += 1
            return answer
        except requests.RequestException as error:
            self.why = error
        except Refused as refusal:
            if refusal.status < 500 and refusal.status != 429:
                if refusal.code not in ("insufficient_funds", "unknown_order"):
                    self.problems.append(str(refusal))
                return False
            self.why = refusal
        self.unknown += 1
        return None

    def place(self):
        symbol = self.random.choice(SYMBOLS)
        body = {"symbol": symbol, "side": self.random.choice(("BUY", "SELL")), "type": "LIMIT",
                "timeInForce": self.random.choice(("GTC", "GTC", "GTC", "IOC")),
                "quantity": f"0.{self.random.randint(1, 99):02}",
                "price": str(PRICES[symbol] + self.random.randint(-10, 10)), "clientOrderId": self.name("order")}
        self.orders[body["clientOrderId"]] = [body, None]
        self.note_order(body, self.attempt(lambda: self.user.post("/orders", body)))

    def note_order(self, body, order):
        if order is False:
            del self.orders[body["clientOrderId"]]
        elif order:
            self.orders[body["clientOrderId"]][1] = order
            self.fills |= {(f["tradeId"], order["orderId"]): f for f in order["fills"]}

    def cancel(self):
        known = [o for _, o in self.orders.values() if o and o["orderId"] not in self.cancelled]
        if not known:
            return
        order = self.random.choice(known[-20:])
        answer = self.attempt(lambda: self.user.cancel(order))
        if answer:
            self.cancelled[order["orderId"]] = answer

    def transfer(self, others):
        body = {"transferId": self.name("transfer"), "toUserId": self.random.choice(others).user.id,
                "asset": self.random.choice(list(FUNDS)), "amount": f"0.0{self.random.randint(1, 99):02}"}
        self.transfers[body["transferId"]] = [body, None]
        self.note_transfer(body, self.attempt(lambda: self.user.post("/wallet/transfers", body)))

    def note_transfer(self, body, answer):
        if answer is False:
            del self.transfers[body["transferId"]]
        elif answer:
            self.transfers[body["transferId"]][1] = answer

    def act(self, others):
        dice = self.random.random()
        if dice < 0.6:
            self.place()
        elif dice < 0.8:
            self.cancel()
        else:
            self.transfer(others)


class Load:
    """Clients with their threads; paused until go()."""

    def __init__(self, platform, clients, seed):
        self.platform = platform
        self.clients = [Client(platform.user("client", **FUNDS), f"{seed}-{n}") for n in range(clients)]
        self.running, self.ended = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(c,), daemon=True) for c in self.clients]
        self.resting = 0
        self.lock = threading.Condition()
        for thread in self.threads:
            thread.start()

    def work(self, client):
        others = [c for c in self.clients if c is not client]
        while not self.ended.is_set():
            if not self.running.is_set():
                with self.lock:
                    self.resting += 1
                    self.lock.notify_all()
                self.running.wait()
                with self.lock:
                    self.resting -= 1
                continue
            unknown = client.unknown
            client.act(others)
            if client.unknown > unknown:
                self.ended.wait(0.05)  # somebody is away: no busy loop

    def go(self):
        self.running.set()

    def pause(self):
        """Until every client has had its last answer."""
        self.running.clear()
        with self.lock:
            assert self.lock.wait_for(lambda: self.resting == len(self.clients), 60), "a client never got an answer"

    def end(self):
        self.ended.set()
        self.running.set()
        for thread in self.threads:
            thread.join(60)

    def total(self, what):
        return sum(getattr(c, what) for c in self.clients)

    def run_until(self, acknowledged):
        """Lets the clients work until so many more answers have come."""
        target = self.total("acknowledged") + acknowledged
        self.go()
        wait_until(lambda: self.total("acknowledged") >= target, 60, f"{acknowledged} answers under load")

    # -- the proof --

    def verify(self):
        """Paused, and everything is back: nothing acknowledged is lost, nothing is there twice, no money moved."""
        for client in self.clients:
            settle_unknowns(client)
        facts = [Facts(c.user) for c in self.clients]
        for client, fact in zip(self.clients, facts, strict=True):
            assert not client.problems, client.problems[:5]
            verify_orders(client, fact)
            verify_transfers(client, fact)
            verify_balances(fact)
        verify_trades(facts)
        verify_all_transfers(self.clients, facts)
        audit = self.platform.audit()
        assert audit["balanced"] is True
        assert all(Decimal(a["sum"]) == 0 for a in audit["items"])


class Facts:
    """What the platform says about a user now."""

    def __init__(self, user):
        self.user = user
        self.orders = list(user.pages("/orders", patience=PATIENCE_S))
        self.open = {o["orderId"]: o for o in user.pages("/orders/open", patience=PATIENCE_S)}
        self.trades = list(user.pages("/trades", patience=PATIENCE_S))
        self.entries = list(user.pages("/wallet/statement", patience=PATIENCE_S))
        self.balances = user.balances()
        self.by_id = {o["orderId"]: o for o in self.orders}
        self.by_client_id = {o["clientOrderId"]: o for o in self.orders}


def settle_unknowns(client):
    """Sends again, with the same id, what got no answer, and some of what did: the first outcome must hold."""
    before = {o["clientOrderId"]: o["orderId"] for o in client.user.pages("/orders", patience=PATIENCE_S)}
    acknowledged = [name for name, (_, order) in client.orders.items() if order]
    for name, (body, order) in list(client.orders.items()):
        if order is not None and name not in acknowledged[-REPEATS:]:
            continue
        answer = client.attempt(lambda body=body: client.user.post("/orders", body))
        assert answer is not None, f"{client.user.name}: {name} has no answer though everything is up: {client.why!r}"
        if order or name in before:
            assert answer, f"{client.user.name}: {name} is there, yet its repeat was refused"
            assert answer["orderId"] == (order["orderId"] if order else before[name])
        client.note_order(body, answer)
    newest = list(client.transfers)[-REPEATS:]
    for name, (body, transfer) in list(client.transfers.items()):
        if transfer is not None and name not in newest:
            continue
        answer = client.attempt(lambda body=body: client.user.post("/wallet/transfers", body))
        assert answer is not None, f"{client.user.name}: {name} has no answer though everything is up: {client.why!r}"
        assert transfer in (None, answer), f"{name}: first {transfer}, now {answer}"
        client.note_transfer(body, answer)


def verify_orders(client, facts):
    who = client.user.name
    assert len(facts.by_id) == len(facts.orders), f"{who}: an order is listed twice"
    assert len(facts.by_client_id) == len(facts.orders), f"{who}: two orders with one clientOrderId"
    for name, (body, order) in client.orders.items():
        assert name in facts.by_client_id, f"{who}: {name} was acknowledged and is gone: {order}"
        now = facts.by_client_id[name]
        assert now["orderId"] == order["orderId"]
        assert decimals(now, "quantity", "price") == decimals(body, "quantity", "price")
        assert Decimal(now["filled"]) >= Decimal(order["filled"]), f"{who}: fills of {name} are gone"
        if order["status"] in ("FILLED", "CANCELLED"):
            assert now["status"] == order["status"]
        assert (now["status"] in ("OPEN", "PARTIALLY_FILLED")) == (now["orderId"] in facts.open)
    unknown = facts.by_client_id.keys() - client.orders.keys()
    assert not unknown, f"{who}: orders that were refused, or never placed: {unknown}"
    trades = {(t["tradeId"], t["orderId"]): t for t in facts.trades}
    assert len(trades) == len(facts.trades), f"{who}: a trade is listed twice"
    for key, fill in client.fills.items():
        assert key in trades, f"{who}: the acknowledged trade {key} is gone"
        assert all(trades[key][k] == fill[k] for k in ("price", "quantity", "fee", "feeAsset", "maker"))
    for order_id, answer in client.cancelled.items():
        assert facts.by_id[order_id]["status"] == "CANCELLED", f"{who}: the cancelled order {order_id} lives"
        assert facts.by_id[order_id]["filled"] == answer["filled"]


def verify_transfers(client, facts):
    sent = collections.Counter(e["reference"] for e in facts.entries
                               if e["kind"] == "transfer" and Decimal(e["amount"]) < 0)
    for name in client.transfers:
        assert sent[name] == 1, f"{client.user.name}: {name} was acknowledged, and moved money {sent[name]} times"
    assert sent.keys() == client.transfers.keys()


def verify_all_transfers(clients, facts):
    """What was sent has come, once."""
    expected = collections.Counter()
    for client in clients:
        for body, _ in client.transfers.values():
            expected[body["toUserId"], body["transferId"], body["asset"], Decimal(body["amount"])] += 1
    got = collections.Counter()
    for fact in facts:
        for e in fact.entries:
            if e["kind"] == "transfer" and Decimal(e["amount"]) > 0:
                got[fact.user.id, e["reference"], e["asset"], Decimal(e["amount"])] += 1
    assert got == expected


def verify_balances(facts):
    """Balances are what was credited, traded, paid as fees and transferred; held is what open orders need."""
    who = facts.user.name
    totals = collections.Counter(FUNDS)
    for trade in facts.trades:
        base, quote = trade["symbol"].split("-")
        price, quantity, paid = decimals(trade, "price", "quantity", "fee")
        sign = 1 if trade["side"] == "BUY" else -1
        totals[base] += sign * quantity
        totals[quote] -= sign * quantity * price
        totals[trade["feeAsset"]] -= paid
    sums, chain = collections.Counter(), {}
    for entry in facts.entries:
        amount, after = decimals(entry, "amount", "totalAfter")
        sums[entry["asset"]] += amount
        if entry["kind"] == "transfer":
            totals[entry["asset"]] += amount
        assert chain.get(entry["asset"], after) == after, f"{who}: the statement's totals do not follow each other"
        chain[entry["asset"]] = after - amount
    assert all(first == 0 for first in chain.values()), f"{who}: the statement does not begin at 0: {chain}"
    assert len({e["entryId"] + e["asset"] for e in facts.entries}) == len(facts.entries)
    held = collections.Counter()
    for order in facts.open.values():
        base, quote = order["symbol"].split("-")
        price, quantity, filled, spent = decimals(order, "price", "quantity", "filled", "filledQuote")
        if order["side"] == "BUY":
            held[quote] += price * quantity - spent
        else:
            held[base] += quantity - filled
    for asset in FUNDS:
        balance = facts.balances[asset]
        assert balance.total == balance.available + balance.held
        assert balance.total == totals[asset], f"{who}: {asset} is {balance.total}, the trades say {totals[asset]}"
        assert balance.total == sums[asset], f"{who}: {asset} is {balance.total}, the statement says {sums[asset]}"
        assert balance.held == held[asset], f"{who}: {balance.held} {asset} is held, open orders need {held[asset]}"


def verify_trades(facts):
    """Every trade has its two sides, of equal price and quantity; every order's fills sum to what it says."""
    sides = collections.defaultdict(list)
    for fact in facts:
        filled = collections.Counter()
        for trade in fact.trades:
            sides[trade["tradeId"]].append((trade["maker"], trade["side"], trade["price"], trade["quantity"],
                                            trade["symbol"]))
            filled[trade["orderId"]] += Decimal(trade["quantity"])
        for order in fact.orders:
            assert Decimal(order["filled"]) == filled[order["orderId"]], f"order {order['orderId']}: fills do not add up"
    for trade_id, pair in sides.items():
        assert len(pair) == 2, f"trade {trade_id} has {len(pair)} sides"
        assert pair[0][0] != pair[1][0] and pair[0][1] != pair[1][1] and pair[0][2:] == pair[1][2:]
