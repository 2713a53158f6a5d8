// Many clients that follow a market's trades while their gateway is restarted: WebSocket and server-sent events.
// Usage: node crowd.mjs '{"url":..,"ws":..,"guestWs":..,"symbol":..,"emails":[..],"password":..,"members":60,"guests":20,"streams":14}'
// Says "back" once all follow, and again at each line "back", once all have come back; at a line with the id of the last
// trade it waits until all have that, and prints what each saw.
import { createInterface } from "node:readline";
import WebSocket from "ws";
import { Tradepost } from "../../dist/index.js";

const { symbol, emails, password, members, guests, streams, ...addresses } = JSON.parse(process.argv[2]);
const channel = `trades:${symbol}`;
const make = (more) => new Tradepost({ ...addresses, WebSocket, backoff: { baseMs: 100, capMs: 1000 }, ...more });

/** An application that keeps the list of all trades: from events, and from the pages where the past is gone. */
class Tape {
  events = [];
  log = [];
  reloads = [];
  online = 0;
  before = 0;
  #known = new Set();
  #waiting = [];

  add(id) {
    if (this.#known.has(id)) return;
    this.#known.add(id);
    this.log.push(id);
    this.#waiting = this.#waiting.filter(({ wanted, resolve }) => wanted !== id || resolve());
  }

  handlers(client) {
    return {
      event: (event) => {
        this.events.push(event.data.trade.tradeId);
        this.add(event.data.trade.tradeId);
      },
      reload: async (why) => {
        this.reloads.push(why);
        const missed = [];
        for (let cursor = "", known = false; !known; ) {
          const page = await client.call("markets.trades", { symbol, limit: 200, ...(cursor && { cursor }) });
          for (const { tradeId } of page.items) if ((known ||= this.#known.has(tradeId)) === false) missed.push(tradeId);
          cursor = page.nextCursor;
          known ||= !cursor;
        }
        missed.reverse().forEach((id) => this.add(id));
      },
      online: () => this.online++,
    };
  }

  until(wanted) {
    return this.#known.has(wanted) ? undefined : new Promise((resolve) => this.#waiting.push({ wanted, resolve }));
  }
}

const clients = [];
function follow(kind, client, start) {
  const tape = new Tape();
  clients.push({ kind, client, tape });
  client.on("online", () => tape.online++);
  start(client, tape.handlers(client));
}

const subscribe = (client, handlers) => client.subscribe(channel, handlers);
const tokens = [];
for (const email of emails) {
  const login = make();
  await login.signIn({ email, password });
  tokens.push(await login.session.token());
  login.close();
}
for (let i = 0; i < members; i++) follow("member", make({ accessToken: tokens[i % tokens.length] }), subscribe);
for (let i = 0; i < guests; i++) follow("guest", make(), subscribe);
for (let i = 0; i < streams; i++) follow("stream", make(), (client, handlers) => client.stream([channel, `prices:${symbol}`], {
  ...handlers,
  event: (event) => event.type === "market.trade" && handlers.event(event),
  reload: (why, of) => of === channel ? handlers.reload(why) : undefined,
}));

const isBack = ({ tape }) => tape.online > tape.before && tape.reloads.length > 0;
async function allBack() {
  while (!clients.every(isBack)) await new Promise((resolve) => setTimeout(resolve, 20));
  clients.forEach(({ tape }) => (tape.before = tape.online));
  console.log("back");
}

await allBack();
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "back") {
    await allBack();
    continue;
  }
  await Promise.all(clients.map(({ tape }) => tape.until(line)));
  break;
}
console.log(JSON.stringify(clients.map(({ kind, tape }) => ({ kind, events: tape.events, log: tape.log, reloads: tape.reloads }))));
for (const { client } of clients) client.close();
process.stdin.destroy(); // nothing else may keep the process: that is a test too
