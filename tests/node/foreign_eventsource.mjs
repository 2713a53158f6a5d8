// npm's eventsource on TLS, which comes back by itself with Last-Event-ID.
// Usage: NODE_EXTRA_CA_CERTS=.. node foreign_eventsource.mjs '{"origin":..,"token":..,"symbol":..}'
// Says "open" whenever it is connected; comes back when it may: at a line "go". At a line with the id of a trade it
// waits for that one, and prints what it saw.
import { createInterface } from "node:readline";
import { EventSource } from "eventsource";

const { origin, token, symbol } = JSON.parse(process.argv[2]);
const seen = { trades: [], orders: [], resyncs: 0, lastIds: [] };
let go, wanted;
let gate = Promise.resolve();

const source = new EventSource(`${origin}/api/v1/stream?channels=trades:${symbol},user.orders`, {
  fetch: async (url, init) => {
    await gate;
    gate = new Promise((resolve) => { go = resolve; });
    seen.lastIds.push(init.headers["Last-Event-ID"] ?? null);
    return fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
  },
});
source.onopen = () => console.log("open");
source.onerror = ({ code, message }) => source.readyState === EventSource.CLOSED && fail(`${code} ${message}`);
source.addEventListener("resync", () => seen.resyncs++);
source.onmessage = ({ data }) => {
  const event = JSON.parse(data);
  if (event.type === "market.trade") seen.trades.push(event.data.trade.tradeId);
  else seen.orders.push(`${event.type} ${event.data.order.orderId}`);
  finish();
};

function fail(why) {
  console.error(why);
  process.exit(1);
}

/** The fills of a trade may come either way round with the trade itself. */
function finish() {
  const filled = seen.orders.filter((order) => order.startsWith("order.filled")).length;
  if (!seen.trades.includes(wanted) || filled < seen.trades.length) return;
  console.log(JSON.stringify(seen));
  process.exit(0);
}

createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "go") return go();
  wanted = line;
  finish();
});
