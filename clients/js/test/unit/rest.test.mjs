// Calls against a server of our own that fails as told: what is tried again, with which key, and what is thrown.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { Tradepost, TradepostError } from "../../dist/index.js";

const ORDER = { symbol: "BTC-USDT", side: "BUY", type: "LIMIT", quantity: "1", price: "2" };
const DONE = { status: 201, body: { orderId: "7" } };
const problem = (status, code, headers = {}) => ({ status, body: { status, code, detail: "so", requestId: "r1", errors: [] }, headers });
const CUT = "cut";

const servers = [];
after(() => servers.forEach((server) => server.close()));

/** Answers one after the other, the last one for ever; notes what it was asked. */
async function serverWith(...answers) {
  const asked = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const piece of request) body += piece;
    asked.push({ verb: request.method, path: request.url, key: request.headers["idempotency-key"],
      authorization: request.headers.authorization, body });
    const next = answers.length > 1 ? answers.shift() : answers[0];
    const answer = typeof next === "function" ? await next(asked.at(-1)) : next;
    if (answer === CUT) return request.socket.destroy();
    response.writeHead(answer.status, { "Content-Type": "application/json", ...answer.headers });
    response.end(JSON.stringify(answer.body));
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  const make = (more) => new Tradepost({ url, backoff: { baseMs: 1, capMs: 2 }, accessToken: "t", ...more });
  return { asked, make, client: make() };
}

const refusal = (code, more) => (error) => {
  assert.ok(error instanceof TradepostError, error);
  assert.equal(error.code, code);
  for (const [name, value] of Object.entries(more)) assert.deepEqual(error[name], value, name);
  return true;
};

test("a mutation is tried again with the same key until it is decided, and is done once", async () => {
  const { client, asked } = await serverWith(problem(503, "unavailable"), CUT, problem(409, "idempotency_key_in_use"),
    problem(429, "rate_limited", { "Retry-After": "0" }), problem(500, "internal"), DONE);
  assert.deepEqual(await client.call("orders.place", ORDER), { orderId: "7" });
  assert.equal(asked.length, 6);
  assert.equal(new Set(asked.map(({ key }) => key)).size, 1);
  assert.ok(asked[0].key.length >= 20);
  assert.deepEqual(JSON.parse(asked[0].body), ORDER);
  await client.call("orders.place", ORDER);
  assert.notEqual(asked.at(-1).key, asked[0].key, "another call, another key");
});

test("a refusal is thrown at once, with all that the problem document says", async () => {
  for (const [status, code] of [[400, "invalid_argument"], [403, "permission_denied"], [404, "unknown_order"],
    [409, "idempotency_key_reused"], [422, "insufficient_funds"], [501, "unimplemented"]]) {
    const { client, asked } = await serverWith(problem(status, code));
    await assert.rejects(client.call("orders.place", ORDER),
      refusal(code, { status, detail: "so", requestId: "r1", temporary: false, unknown: false }));
    assert.equal(asked.length, 1, code);
  }
});

test("what stays undecided is thrown as unknown, whatever came last", async () => {
  const wait = problem(429, "rate_limited", { "Retry-After": "3600" });
  for (const answers of [[problem(503, "unavailable")], [CUT], [CUT, wait], [problem(500, "internal"), problem(401, "unauthenticated")]]) {
    const { client } = await serverWith(...answers);
    await assert.rejects(client.call("orders.place", ORDER, { retryForMs: 20 }), (error) => error.unknown === true);
  }
  const { client } = await serverWith(wait);
  await assert.rejects(client.call("orders.place", ORDER), refusal("rate_limited", { unknown: false, retryAfterMs: 3600000 }));
});

test("no answer in time is a failure that may pass", async () => {
  const { client } = await serverWith(() => new Promise(() => {}));
  await assert.rejects(client.call("GET /health", {}, { timeoutMs: 30, retryForMs: 0 }), refusal("timeout", { temporary: true }));
});

test("logging in is not tried again by itself, and has no key", async () => {
  const { client, asked } = await serverWith(problem(503, "unavailable"), DONE);
  await assert.rejects(client.call("auth.register", { email: "a@b.c", username: "a", password: "12345678" }), refusal("unavailable", {}));
  assert.equal(asked.length, 1);
  assert.equal(asked[0].key, undefined);
});

test("who gives up gets his reason; of a mutation on its way nobody knows", async () => {
  const { client } = await serverWith(() => new Promise(() => {}));
  const controller = new AbortController();
  const reading = client.call("wallet.balances", {}, { signal: controller.signal });
  const writing = client.call("orders.place", ORDER, { signal: controller.signal });
  setTimeout(() => controller.abort("bored"), 30);
  await assert.rejects(reading, (reason) => reason === "bored");
  await assert.rejects(writing, refusal("aborted", { unknown: true, cause: "bored" }));
});

test("a mutation that was given up before it was sent has not been done", async () => {
  const { client, asked } = await serverWith(DONE);
  const seen = [];
  const hooks = { apply: () => seen.push("apply"), rollback: () => seen.push("rollback") };
  await assert.rejects(client.optimistic("orders.place", ORDER, hooks, { signal: AbortSignal.abort("bored") }), (reason) => reason === "bored");
  client.close();
  await assert.rejects(client.call("orders.place", ORDER), refusal("closed", { unknown: false }));
  assert.deepEqual([seen, asked.length], [["apply", "rollback"], 0]);
});

test("close() ends calls that wait", async () => {
  const { client } = await serverWith(problem(503, "unavailable", { "Retry-After": "20" }));
  const waiting = client.call("wallet.balances");
  setTimeout(() => client.close(), 30);
  await assert.rejects(waiting, refusal("closed", {}));
});

// ---- the session ----

const tokens = (n, expiresIn = 900) => ({ status: 200, body: { accessToken: `t${n}`, expiresIn, refreshToken: "", user: { userId: "u" } },
  headers: { "Set-Cookie": `tp_refresh=r${n}; Path=/api/v1/auth; HttpOnly` } });

test("a refused token is refreshed once for all who wait, and their calls go on", async () => {
  let refreshes = 0;
  const { make, asked } = await serverWith((request) => {
    if (request.path.endsWith("/auth/refresh")) return tokens(++refreshes);
    return request.authorization === "Bearer t1" ? { status: 200, body: {} } : problem(401, "unauthenticated");
  });
  const client = make({ accessToken: "old", refreshToken: "r0" });
  await Promise.all(Array.from({ length: 20 }, () => client.call("wallet.balances")));
  assert.equal(refreshes, 1);
  assert.deepEqual(asked.filter(({ path }) => path.endsWith("refresh")).map(({ body }) => body), ['{"refreshToken":"r0"}']);
  assert.equal(client.session.refreshToken, "r1");
  client.close();
});

test("a token is refreshed before its end, again and again", async () => {
  let refreshes = 0;
  const { make } = await serverWith(() => tokens(++refreshes, 0.05));
  const client = make({ accessToken: undefined, refreshToken: "r0" });
  while (refreshes < 4) await client.session.token();
  client.close();
});

test("a refresh that is refused ends the session; one that fails for now does not", async () => {
  const { make } = await serverWith((request) => request.path.endsWith("refresh") && request.body.includes("stolen")
    ? problem(401, "unauthenticated") : problem(503, "unavailable"));
  const ended = make({ accessToken: undefined, refreshToken: "stolen" });
  const told = new Promise((resolve) => ended.on("signedOut", resolve));
  assert.equal(await ended.session.token(), null);
  assert.equal((await told).code, "unauthenticated");
  assert.equal(ended.session.signedIn, false);
  const kept = make({ accessToken: undefined, refreshToken: "mine" });
  await assert.rejects(kept.session.token(), refusal("unavailable", {}));
  assert.equal(kept.session.signedIn, true);
});

test("what a refresh brings after another login or a logout is of no interest", async () => {
  for (const late of [tokens("old"), problem(401, "unauthenticated")]) {
    let asked, answer;
    const refreshing = new Promise((resolve) => (asked = resolve));
    const held = new Promise((resolve) => (answer = resolve));
    const { make } = await serverWith((request) => {
      if (request.path.endsWith("logout")) return { status: 200, body: {} };
      if (request.path.endsWith("login")) return tokens("new");
      asked();
      return held.then(() => late);
    });
    const client = make({ accessToken: "stale", refreshToken: "r0" });
    let ends = 0;
    client.on("signedOut", () => ends++);
    const first = client.session.refresh("stale");
    await refreshing;
    await client.signIn({ identifier: "b", password: "12345678" });
    answer();
    await first;
    assert.deepEqual([await client.session.token(), client.session.refreshToken, ends], ["tnew", "rnew", 0]);
    client.close();
  }
});

// ---- optimistic ----

test("what is shown at once is confirmed, taken back, or left when nobody knows", async () => {
  for (const [answers, expected] of [
    [[DONE], ["apply", "commit 7 undo"]],
    [[problem(503, "unavailable"), CUT, DONE], ["apply", "commit 7 undo"]],
    [[problem(422, "insufficient_funds")], ["apply", "rollback insufficient_funds undo"]],
    [[CUT, problem(422, "insufficient_funds")], ["apply", "rollback insufficient_funds undo"]],
    [[CUT], ["apply"]],
  ]) {
    const { client } = await serverWith(...answers);
    const seen = [];
    const done = client.optimistic("orders.place", ORDER, {
      apply: () => (seen.push("apply"), "undo"),
      commit: (order, undo) => seen.push(`commit ${order.orderId} ${undo}`),
      rollback: (error, undo) => seen.push(`rollback ${error.code} ${undo}`),
    }, answers.length === 1 && answers[0] === CUT ? { retryForMs: 20 } : {});
    assert.deepEqual(seen, ["apply"], "at once");
    await done.catch(() => {});
    assert.deepEqual(seen, expected);
  }
});
