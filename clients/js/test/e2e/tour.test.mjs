// What one client does, against a real platform: TRADEPOST_TEST={"url","ws","guestWs","symbol","email","password","short","forged"}.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, test } from "node:test";
import WebSocket from "ws";
import { ApiKey, Tradepost, TradepostError } from "../../dist/index.js";

const { symbol, email, password, short, forged, ...addresses } = JSON.parse(process.env.TRADEPOST_TEST);
const ORDER = { symbol, side: "BUY", type: "LIMIT", quantity: "0.01", price: "50000" };
const clients = [];
const make = (more) => clients[clients.push(new Tradepost({ ...addresses, WebSocket, backoff: { baseMs: 50, capMs: 500 }, ...more })) - 1];
after(() => clients.forEach((client) => client.close()));

const ann = make();
const user = await ann.signIn({ email, password });
const once = (client, name) => new Promise((resolve) => { const off = client.on(name, (event) => { off(); resolve(event); }); });
const deferred = () => { const d = {}; d.promise = new Promise((resolve) => (d.resolve = resolve)); return d; };

/** A session that begins with a token from elsewhere, and has a refresh token of its own. */
async function sessionWith(accessToken) {
  const login = make();
  await login.signIn({ email, password });
  return make({ accessToken, refreshToken: login.session.refreshToken });
}

test("a connection lives on over its token's end: it authenticates again before", async () => {
  const client = await sessionWith(short);
  let offline = 0;
  client.on("offline", () => offline++);
  client.connect();
  await once(client, "online");
  const end = JSON.parse(atob(short.split(".")[1])).exp * 1000;
  while (Date.now() < end + 300) {
    await client.command("users.me");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.notEqual(await client.session.token(), short);
  assert.equal(offline, 0);
  assert.ok(client.online);
});

test("a method is called by its name, over REST and as a command, with the same answer", async () => {
  assert.equal(user.email, email);
  assert.deepEqual(await ann.call("users.me"), await ann.command("users.me"));
  const order = await ann.call("orders.place", ORDER);
  assert.deepEqual(await ann.command("orders.get", { orderId: order.orderId }), await ann.call("orders.get", { orderId: order.orderId }));
  assert.equal((await ann.call("orders.cancel", { orderId: order.orderId })).status, "CANCELLED");
  assert.equal((await ann.call("GET /health")).status, "SERVING");
  assert.equal((await make().call("prices.quotes", { symbols: symbol })).items[0].symbol, symbol);
});

test("a refusal is the same error on both", async () => {
  for (const way of ["call", "command"])
    await assert.rejects(ann[way]("orders.place", { ...ORDER, quantity: "10000" }), (e) => e instanceof TradepostError && e.code === "insufficient_funds" && !e.temporary && !e.unknown);
  await assert.rejects(ann.call("orders.place", { ...ORDER, quantity: "x" }), (e) => e.errors[0].field === "quantity");
  await assert.rejects(make().call("wallet.balances"), { code: "unauthenticated" });
});

test("the same key again does nothing again", async () => {
  const options = { idempotencyKey: `tour-${Date.now()}` };
  const [first, second] = [await ann.call("orders.place", ORDER, options), await ann.call("orders.place", ORDER, options)];
  assert.equal(first.orderId, second.orderId);
  await assert.rejects(ann.call("orders.place", { ...ORDER, price: "49999" }, options), { code: "idempotency_key_reused" });
  await ann.call("orders.cancel", { orderId: first.orderId });
});

test("an answer in parts is put together", async () => {
  assert.deepEqual(await make().command("help"), await make().call("help"));
});

test("an order is shown at once and then confirmed; a refused one is taken back", async () => {
  const shown = [];
  const hooks = {
    apply: () => shown.push("new") - 1,
    commit: ({ orderId }, at) => (shown[at] = orderId),
    rollback: (error, at) => (shown[at] = error.code),
  };
  const placing = ann.optimistic("orders.place", ORDER, hooks);
  assert.deepEqual(shown, ["new"]);
  const { orderId } = await placing;
  await assert.rejects(ann.optimistic("orders.place", { ...ORDER, quantity: "1000000" }, hooks));
  assert.deepEqual(shown, [orderId, "insufficient_funds"]);
  await ann.call("orders.cancel", { orderId });
});

for (const way of ["subscribe", "stream"])
  test(`${way}: one's own orders come as events, typed and in order`, async () => {
    const seen = [];
    const begun = deferred();
    const handlers = { // events of the orders before may still come
      event: ({ type, data }) => seen.push({ id: data.order.orderId, type }),
      reload: begun.resolve,
    };
    const subscription = way === "stream" ? ann.stream(["user.orders"], handlers) : ann.subscribe("user.orders", handlers);
    await begun.promise;
    const { orderId } = await ann.call("orders.place", ORDER);
    await ann.call("orders.cancel", { orderId });
    while (seen.at(-1)?.id !== orderId || seen.at(-1).type !== "order.cancelled") await ann.command("ping");
    assert.deepEqual(seen.filter(({ id }) => id === orderId).map(({ type }) => type), ["order.accepted", "order.cancelled"]);
    subscription.close();
  });

test("a guest's own channel is refused, and says so", async () => {
  const refused = deferred();
  make().subscribe("user.orders", { event() {}, refused: refused.resolve });
  assert.equal((await refused.promise).code, "not_found", "not offered to guests");
  const stopped = deferred();
  make().stream(["user.orders"], { event() {}, stopped: stopped.resolve });
  assert.equal((await stopped.promise).status, 401);
});

test("a token that the server refuses is replaced, on REST, the WebSocket and a stream", async () => {
  assert.equal((await (await sessionWith(forged)).call("users.me")).email, email);
  const onSocket = await sessionWith(forged);
  assert.equal((await onSocket.command("users.me")).email, email);
  const streamed = deferred();
  (await sessionWith(forged)).stream(["user.orders"], { event() {}, online: streamed.resolve });
  await streamed.promise;
});

test("a bot signs its calls, its connection and its streams", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const pair = { publicKey: publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("base64") };
  const pem = privateKey.export({ format: "pem", type: "pkcs8" });
  for (const [kind, more, half] of [["HMAC_SHA256", {}, {}], ["ED25519", pair, { privateKey: pem }]]) {
    const key = await ann.call("keys.create", { name: `tour ${kind}`, kind, permissions: ["READ", "TRADE"], ...more });
    const { keyId: id } = key.apiKey;
    const secret = key.secret ? { secret: key.secret } : half;
    const wrongClock = () => Date.now() - 60000; // found out, and put right
    const bot = make({ apiKey: new ApiKey({ id, ...secret, now: wrongClock }) });
    const { orderId } = await bot.call("orders.place", ORDER);
    const begun = deferred();
    bot.stream(["user.orders"], { event() {}, reload: begun.resolve });
    await begun.promise;
    assert.equal((await bot.command("orders.cancel", { orderId })).status, "CANCELLED");
    assert.equal((await bot.call("orders.open", { symbol })).items.length, 0);
    await assert.rejects(bot.call("keys.list"), { code: "permission_denied" });
    const calls = Array.from({ length: 20 }, () => bot.call("users.me"));
    assert.equal((await Promise.all(calls)).length, 20);
    const stranger = make({ apiKey: new ApiKey({ id, secret: "0".repeat(64) }) });
    await assert.rejects(stranger.call("orders.place", ORDER), { code: "bad_signature" });
    const alsoOnTheSocket = make({ apiKey: new ApiKey({ id, secret: "0".repeat(64) }) });
    alsoOnTheSocket.connect();
    assert.equal((await once(alsoOnTheSocket, "signedOut")).code, "bad_signature");
  }
});

test("signing out ends the session everywhere; what is public goes on", async () => {
  const client = make();
  await client.signIn({ email, password });
  const token = await client.session.token();
  const begun = deferred();
  const refused = deferred();
  client.subscribe(`trades:${symbol}`, { event() {}, reload: begun.resolve });
  client.subscribe("user.orders", { event() {}, refused: refused.resolve });
  await begun.promise;
  await client.signOut();
  assert.equal((await refused.promise).code, "not_found", "not offered to guests");
  assert.ok(await client.command("prices.quotes", { symbols: symbol }));
  await assert.rejects(make({ accessToken: token }).call("users.me"), { code: "unauthenticated" });
  await client.signIn({ email, password });
  assert.equal((await client.command("users.me")).email, email);
});
