// The WebSocket side against npm's ws as a server that does as it is told.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import WebSocket, { WebSocketServer } from "ws";
import { Tradepost } from "../../dist/index.js";

const CHANNEL = "trades:BTC-USDT";
const servers = [];
after(() => servers.forEach((server) => { server.clients.forEach((c) => c.terminate()); server.close(); }));

/** answer(message, socket, connection) for every command; ping is answered unless it says so. */
async function serverWith(answer, options = {}) {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  servers.push(server);
  await once(server, "listening");
  const state = { connections: 0, messages: [] };
  server.on("connection", (socket) => {
    const connection = ++state.connections;
    const say = (message) => socket.send(JSON.stringify(message));
    socket.on("message", (data) => {
      const message = JSON.parse(data);
      state.messages.push({ connection, ...message });
      answer({ message, socket, say, connection, ok: (result) => say({ msgId: message.msgId, ok: true, result }) });
    });
  });
  const ws = `ws://127.0.0.1:${server.address().port}/ws`;
  const client = new Tradepost({ url: "http://127.0.0.1:1", ws, guestWs: ws, WebSocket, backoff: { baseMs: 2, capMs: 10 }, ...options });
  return { state, client };
}

const place = (seq, recovered = false) => ({ items: [{ channel: CHANNEL, epoch: "e", seq: String(seq), recovered }] });
const trade = (seq) => ({ type: "market.trade", channel: CHANNEL, epoch: "e", seq: String(seq), data: {} });
const event = (client, name) => new Promise((resolve) => { const off = client.on(name, (e) => { off(); resolve(e); }); });

test("a channel is resumed where it was, and repeats are not told", async () => {
  const done = deferred();
  const seen = [];
  const { client, state } = await serverWith(({ message, socket, say, connection, ok }) => {
    if (message.command !== "subscribe") return;
    const since = Number(message.since?.seq ?? 0);
    say(trade(since));
    for (const seq of [since + 1, since + 2]) say(trade(seq));
    ok(place(since + 2, since > 0));
    if (connection < 4) socket.terminate();
  });
  client.subscribe(CHANNEL, { event: ({ seq }) => seen.push(seq) === 9 && done.resolve() });
  await done.promise;
  client.close();
  assert.deepEqual(seen, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
  assert.deepEqual(state.messages.filter((m) => m.command === "subscribe").map((m) => m.since?.seq), [undefined, "2", "4", "6"]);
});

function deferred() {
  const d = {};
  d.promise = new Promise((resolve) => (d.resolve = resolve));
  return d;
}

test("a subscription that cannot be resumed right now is asked for again on the same connection", async () => {
  let refusals = 0;
  const done = deferred();
  const { client, state } = await serverWith(({ message, say, ok }) => {
    if (message.command !== "subscribe") return;
    if (++refusals < 3) return say({ msgId: message.msgId, ok: false, error: { code: "unavailable", message: "", temporary: true } });
    ok(place(5));
    say(trade(6));
  });
  client.subscribe(CHANNEL, { event: () => done.resolve() });
  await done.promise;
  assert.equal(state.connections, 1);
  client.close();
});

test("a channel that is refused is told to its listener, and takes no other with it", async () => {
  const done = deferred();
  const refused = deferred();
  const { client } = await serverWith(({ message, say, ok }) => {
    if (message.channels?.includes("user.orders"))
      return say({ msgId: message.msgId, ok: false, error: { code: "unauthenticated", message: "", temporary: false } });
    ok(place(5));
    say(trade(6));
  });
  client.subscribe("user.orders", { event() {}, refused: refused.resolve });
  client.subscribe(CHANNEL, { event: () => done.resolve() });
  const [error] = await Promise.all([refused.promise, done.promise]);
  assert.equal(error?.code ?? (await refused.promise).code, "unauthenticated");
  client.close();
});

test("codes below 4500 bring the client back, not before what the reason says", async () => {
  const closes = [[1001, "going away; retry in 80 ms"], [4008, "too slow"], [4000, ""]];
  const { client, state } = await serverWith(({ message, socket, connection, ok }) => {
    if (connection > closes.length) return ok({ time: "" });
    socket.close(...closes[connection - 1]);
  });
  const offline = event(client, "offline");
  const begin = performance.now();
  await assert.rejects(client.command("ping"), (error) => error.code === "connection_lost" && error.unknown);
  assert.ok((await offline).retryInMs >= 80);
  const poke = async () => { for (;;) try { return await client.command("ping"); } catch (error) { assert.equal(error.code, "connection_lost"); } };
  await poke();
  assert.ok(performance.now() - begin >= 79);
  assert.equal(state.connections, 4);
  client.close();
});

test("codes of 4500 and above stop it for good", async () => {
  const { client, state } = await serverWith(({ socket }) => socket.close(4500, "banned"));
  const stopped = event(client, "stopped");
  await assert.rejects(client.command("ping"));
  assert.deepEqual(await stopped, { code: 4500, reason: "banned" });
  assert.throws(() => client.connect(), { code: "closed" });
  assert.equal(state.connections, 1);
});

test("a peer that is silent is asked, and left when it does not answer", async () => {
  const { client, state } = await serverWith(({ message, connection, ok }) => {
    if (connection === 2) ok({ msgId: message.msgId });
  }, { heartbeatMs: 20, patienceMs: 40 });
  client.connect();
  const { reason } = await event(client, "offline");
  assert.match(reason, /sign of life/);
  await event(client, "online");
  while (state.messages.filter((m) => m.connection === 2).length < 3) await new Promise((r) => setTimeout(r, 5));
  assert.equal(state.connections, 2);
  client.close();
});

test("32 commands are on their way at most, in order, and all are answered", async () => {
  const waiting = [];
  let most = 0;
  const { client } = await serverWith(({ ok }) => {
    most = Math.max(most, waiting.push(ok));
    if (most === 32) setImmediate(() => waiting.splice(0).forEach((answer) => answer({})));
  });
  await Promise.all(Array.from({ length: 200 }, () => client.command("ping")));
  assert.equal(most, 32);
  client.close();
});

test("what does not wait for ever: a full queue, a timeout, a signal, a close", async () => {
  const { client, state } = await serverWith(() => {});
  const controller = new AbortController();
  const aborted = client.command("ping", {}, { signal: controller.signal });
  controller.abort("bored");
  await assert.rejects(aborted, (reason) => reason === "bored");
  await assert.rejects(client.command("ping", {}, { timeoutMs: 50 }), (error) => error.code === "timeout");
  const rest = Array.from({ length: 32 + 1024 }, () => client.command("ping"));
  await assert.rejects(client.command("ping"), { code: "queue_full" });
  client.close();
  const codes = (await Promise.allSettled(rest)).map(({ reason }) => reason.code);
  assert.equal(codes.filter((code) => code === "connection_lost").length, 32);
  assert.equal(codes.filter((code) => code === "closed").length, 1024);
  assert.ok(state.messages.every((m) => m.msgId !== "1"), "what was given up in the queue was never sent");
});

test("a WebSocket that cannot be made stops it, and says why to who waits", async () => {
  const broken = class { constructor() { throw new TypeError("not from here"); } };
  const client = new Tradepost({ url: "http://127.0.0.1:1", WebSocket: broken, patienceMs: 20 });
  const stopped = event(client, "stopped");
  await assert.rejects(client.command("ping"), (error) => error.code === "closed" && error.detail === "not from here");
  assert.equal((await stopped).reason, "not from here");
});

test("a command that is no JSON fails alone, and one that is changed later goes as it was", async () => {
  const { client, state } = await serverWith(({ ok }) => ok({}));
  const odd = client.command("prices.quotes", { symbols: 1n });
  const request = { symbols: "A-B" };
  const good = client.command("prices.quotes", request);
  request.symbols = "C-D";
  await assert.rejects(odd, TypeError);
  await good;
  assert.deepEqual(state.messages.map((m) => m.symbols), ["A-B"]);
  client.close();
});

test("a channel that nobody listens to any more is not asked for again", async () => {
  const { client, state } = await serverWith(({ message, say, ok }) => {
    if (message.command !== "subscribe") return ok({});
    say({ msgId: message.msgId, ok: false, error: { code: "unavailable", message: "", temporary: true } });
  }, { backoff: { baseMs: 20, capMs: 20, random: () => 1 } });
  const subscription = client.subscribe(CHANNEL, { event() {} });
  await event(client, "online");
  const asked = state.messages.length;
  subscription.close();
  await new Promise((resolve) => setTimeout(resolve, 25)); // its next try would be sent by then,
  await client.command("ping"); // and has come before this one
  assert.deepEqual(state.messages.slice(asked).map((m) => m.command), ["unsubscribe", "ping"]);
  client.close();
});
