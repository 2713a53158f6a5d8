// A program against the package's types: what must compile, and what must not.
import { type EventOf, type Order, Tradepost, TradepostError } from "../dist/index.js";

const client = new Tradepost({ url: "https://localhost:3333" });
const order: Promise<Order> = client.call("orders.place", { symbol: "BTC-USDT", side: "BUY", type: "MARKET", quantity: "1" });
void client.call("wallet.balances").then(({ items }) => items[0]?.available.length);
void client.call("GET /health", {}, { timeoutMs: 5 });
void client.command("orders.cancel", { orderId: "7" }, { signal: new AbortController().signal });
client.subscribe("user.orders", { event: (event) => event.type === "order.filled" && event.data.order?.filled });
client.stream(["trades:BTC-USDT", "prices:BTC-USDT"], {
  event(event) {
    if (event.type === "market.price") event.data.bid.length;
    else event.data.trade?.price.length;
  },
  reload: (why, channel) => void [why === "resync", channel.startsWith("trades:")],
});
void client.optimistic("orders.cancel", { orderId: "7" }, {
  apply: () => 5,
  commit: (cancelled, undo) => void [cancelled.status, undo.toFixed()],
  rollback: (error, undo) => void [error instanceof TradepostError, undo.toFixed()],
});
client.on("offline", ({ retryInMs }) => retryInMs.toFixed());
const depth = (event: EventOf<"depth:BTC-USDT">) => event.data.lastUpdateId;
void [order, depth];

// @ts-expect-error: no such method
void client.call("orders.explode", {});
// @ts-expect-error: the request is required
void client.call("orders.place");
// @ts-expect-error: a quantity is a decimal string
void client.call("orders.place", { symbol: "BTC-USDT", side: "BUY", type: "MARKET", quantity: 1 });
// @ts-expect-error: no such channel
client.subscribe("weather", { event() {} });
// @ts-expect-error: trades have no order
client.subscribe("trades:BTC-USDT", { event: (event) => event.data.order });
