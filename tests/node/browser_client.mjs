// Our client, and the browser's own WebSocket and EventSource, in Chromium, through the TLS edge.
// Usage: node browser_client.mjs '{"origin":..,"ws":..,"guestWs":..,"spki":..,"dist":..,"symbol":..,"email":..,"password":..}'
// Says "back" once all follow, and again at each line "back"; at a line with the id of the last trade it waits until all
// have that, goes on, and prints what it saw.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const { spki, dist, ...told } = JSON.parse(process.argv[2]);
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
  "--disable-features=LocalNetworkAccessChecks"]; // the page below comes from no address, the sockets from loopback
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium", args: [...quiet, `--ignore-certificate-errors-spki-list=${spki}`],
});
const page = await browser.newPage();
page.on("pageerror", (error) => console.error(error));
page.on("console", (message) => console.error(message.text()));
await page.route("**/app/**", async (route) => { // an application on the API's own origin
  const path = new URL(route.request().url()).pathname.slice("/app/".length);
  if (!path) return route.fulfill({ contentType: "text/html", body: "<!doctype html><title>app</title>" });
  return route.fulfill({ contentType: "text/javascript", body: await readFile(`${dist}/${path}`) });
});
await page.goto(`${told.origin}/app/`);

await page.evaluate(async ({ ws, guestWs, symbol, email, password }) => {
  const { Tradepost } = await import("/app/index.js");
  const make = () => new Tradepost({ ws, guestWs, cookies: true, backoff: { baseMs: 100, capMs: 1000 } });
  const app = (window.app = { make, client: make(), online: 0, before: 0, reloads: [], tapes: {}, orders: [] });
  const trades = `trades:${symbol}`;
  const tape = (name) => (app.tapes[name] = []);
  const follow = (seen) => ({ event: ({ type, data }) => type === "market.trade" && seen.push(data.trade.tradeId),
    reload: (why) => void app.reloads.push(why) });

  await app.client.signIn({ email, password });
  app.cookies = document.cookie;
  app.client.on("online", () => app.online++);
  app.client.subscribe(trades, follow(tape("subscribe")));
  app.client.subscribe("user.orders", { event: ({ type, data }) => app.orders.push(`${type} ${data.order.orderId}`) });
  app.client.stream([trades, `prices:${symbol}`], { ...follow(tape("stream")), online: () => app.streaming = (app.streaming ?? 0) + 1 });

  // The browser's own: it resumes by itself, but gives up where nginx has to say 502; then the page asks anew.
  const own = tape("EventSource");
  let lastId = "";
  const listen = () => {
    const source = new EventSource(`/api/v1/stream?channels=${trades},user.orders${lastId && `&lastEventId=${lastId}`}`);
    source.onopen = () => app.listening = (app.listening ?? 0) + 1;
    source.addEventListener("resync", () => app.reloads.push("EventSource: resync"));
    source.onmessage = ({ data, lastEventId }) => {
      lastId = lastEventId;
      const event = JSON.parse(data);
      if (event.type === "market.trade") own.push(event.data.trade.tradeId);
    };
    source.onerror = () => source.readyState === EventSource.CLOSED && setTimeout(listen, 100);
  };
  listen();

  const socket = new WebSocket(guestWs);
  app.closes = [];
  app.answers = [];
  socket.onopen = () => socket.send(JSON.stringify({ command: "subscribe", msgId: "1", channels: [trades] }));
  socket.onmessage = ({ data }) => app.answers.push(JSON.parse(data));
  socket.onclose = ({ code }) => app.closes.push(code);
}, told);

const PATIENCE = { timeout: 60000, polling: 50 };
async function back() {
  await page.waitForFunction(() => {
    const { app } = window;
    const all = Math.min(app.online, app.streaming ?? 0, app.listening ?? 0);
    if (all <= app.before || app.answers.length === 0) return false;
    app.before = Math.max(app.online, app.streaming, app.listening);
    app.online = app.streaming = app.listening = app.before;
    return true;
  }, null, PATIENCE);
  console.log("back");
}

/** An order by a page that is authorized by its cookie alone, and its fill as an event. */
async function trade() {
  await page.evaluate(async (symbol) => {
    const order = { symbol, side: "BUY", type: "LIMIT", quantity: "0.0002", price: "60000" };
    const { orderId } = await window.app.client.call("orders.place", order);
    window.app.wanted = `order.filled ${orderId}`;
  }, told.symbol);
  await page.waitForFunction(() => window.app.orders.includes(window.app.wanted), null, PATIENCE);
}

await back();
await trade();
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== "back") {
    await page.waitForFunction((id) => Object.values(window.app.tapes).every((tape) => tape.includes(id)), line, PATIENCE);
    break;
  }
  await back();
  await trade();
}

const seen = await page.evaluate(async (symbol) => {
  const { client, make, tapes, reloads, orders, cookies, closes, answers } = window.app;
  const body = JSON.stringify({ symbol, side: "BUY", type: "LIMIT", quantity: "0.01", price: "5000" });
  const headers = { "Content-Type": "application/json" };
  const forged = (await fetch("/api/v1/orders", { method: "POST", headers, body })).status; // of a page that cannot read the cookie
  client.close();
  return { tapes, reloads, orders, cookies, closes, answers, forged };
}, told.symbol);
await page.reload();
seen.resumed = await page.evaluate(async ({ ws, guestWs }) => {
  const { Tradepost } = await import("/app/index.js");
  const tabs = [0, 1, 2].map(() => new Tradepost({ ws, guestWs })); // each with the one cookie, which is good once
  const users = await Promise.all(tabs.map((tab) => tab.resume()));
  const named = await Promise.all(tabs.map((tab) => tab.command("users.me")));
  await tabs[0].signOut();
  const after = await new Tradepost().resume();
  tabs.forEach((tab) => tab.close());
  return { users: users.map(({ email }) => email), named: named.map(({ email }) => email), after };
}, told);
console.log(JSON.stringify(seen));
await browser.close();
process.stdin.destroy();
