// Chromium's own EventSource and WebSocket through the TLS edge, with nothing of ours in the page.
// Usage: node foreign_browser.mjs '{"origin":..,"ws":..,"spki":..,"symbol":..,"email":..,"password":..}'
// Says "open" whenever both are connected; the EventSource comes back when it may, at a line "go", and a new WebSocket
// with it. At a line with the id of a trade it waits for that one, and prints what it saw.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { spki, ...told } = JSON.parse(process.argv[2]);
const PATIENCE = { timeout: 60000, polling: 50 };
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", `--ignore-certificate-errors-spki-list=${spki}`,
    "--disable-features=LocalNetworkAccessChecks"], // the page comes from no address, the sockets from loopback
});
const page = await browser.newPage();
page.on("pageerror", (error) => console.error(error));
page.on("console", (message) => console.error(message.text()));
await page.route("**/app/", (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>app</title>" }));
let go;
let gate = Promise.resolve();
await page.route("**/api/v1/stream**", async (route) => { // held, not answered: it goes on as the browser made it
  await gate;
  gate = new Promise((resolve) => { go = resolve; });
  await route.continue();
});
await page.goto(`${told.origin}/app/`);

await page.evaluate(async ({ ws, symbol, email, password }) => {
  const app = (window.app = { opens: 0, closed: false, subscribed: 0, trades: [], orders: [], resyncs: 0,
    socket: { trades: [], closes: [], recovered: [], extensions: [] } });
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify({ email, password });
  const login = await fetch("/api/v1/auth/login", { method: "POST", headers, body });
  const token = (await login.json()).accessToken;
  document.cookie = `tp_access=${token}; Path=/; Secure; SameSite=Strict`;
  const channel = `trades:${symbol}`;

  const source = new EventSource(`/api/v1/stream?channels=${channel},user.orders`);
  source.onopen = () => app.opens++;
  source.onerror = () => { app.closed = source.readyState === EventSource.CLOSED; };
  source.addEventListener("resync", () => app.resyncs++);
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (event.type === "market.trade") app.trades.push(event.data.trade.tradeId);
    else app.orders.push(`${event.type} ${event.data.order.orderId}`);
  };

  let place; // where the WebSocket stands
  app.connect = () => {
    const socket = new WebSocket(ws);
    const send = (message) => socket.send(JSON.stringify(message));
    const answers = {
      hello: () => send({ command: "subscribe", msgId: "since", channels: [channel], ...(place && { since: place }) }),
      since: ({ items: [{ epoch, seq, recovered }] }) => {
        app.socket.recovered.push(recovered);
        place ??= { epoch, seq };
        app.subscribed++;
      },
    };
    socket.onopen = () => {
      app.socket.extensions.push(socket.extensions);
      send({ command: "authenticate", msgId: "hello", token });
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.msgId && message.ok) return answers[message.msgId](message.result);
      if (message.type !== "market.trade") return console.log(`not expected: ${data}`);
      place = { epoch: message.epoch, seq: message.seq };
      app.socket.trades.push(message.data.trade.tradeId);
    };
    socket.onclose = ({ code, reason }) => app.socket.closes.push([code, reason]);
  };
  app.connect();
}, told);

async function open(times) {
  await page.waitForFunction((n) => {
    const { closed, opens, subscribed } = window.app;
    return closed || (opens === n && subscribed === n);
  }, times, PATIENCE);
  if (await page.evaluate(() => window.app.closed)) throw new Error("the EventSource gave up");
  console.log("open");
}

let times = 1;
await open(times);
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "go") {
    await page.waitForFunction((n) => window.app.socket.closes.length === n, times, PATIENCE);
    await page.evaluate(() => window.app.connect());
    go();
    await open(++times);
    continue;
  }
  await page.waitForFunction((id) => {
    const { trades, orders, socket } = window.app;
    const filled = orders.filter((o) => o.startsWith("order.filled")).length;
    return trades.includes(id) && filled >= trades.length && socket.trades.includes(id);
  }, line, PATIENCE);
  break;
}
const { trades, orders, resyncs, socket } = await page.evaluate(() => window.app);
console.log(JSON.stringify({ trades, orders, resyncs, socket }));
await browser.close();
process.stdin.destroy();
