// What comes over the wire, cut and mixed as it likes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Parts } from "../../dist/parts.js";
import { planOf } from "../../dist/rest.js";
import { SseParser } from "../../dist/sse.js";
import { verdictOf } from "../../dist/verdict.js";

test("parts of several answers come mixed and are put together", () => {
  const parts = new Parts();
  const part = (msgId, n, data) => parts.add({ msgId, part: n, parts: 3, data });
  assert.equal(part("a", 1, "x"), null);
  assert.equal(part("b", 1, "1"), null);
  assert.equal(part("a", 2, "y"), null);
  assert.equal(part("b", 2, "2"), null);
  assert.equal(part("b", 3, "3"), "123");
  assert.equal(part("a", 3, "z"), "xyz");
  assert.equal(part("a", 1, "again"), null);
});

test("parts that make no sense are refused", () => {
  for (const bad of [[2], [1, 3], [1, 1], [1, 2, 3, 4]]) {
    const parts = new Parts();
    assert.throws(() => {
      for (const part of bad) parts.add({ msgId: "a", part, parts: 3, data: "" });
    }, RangeError, String(bad));
  }
});

const TEXT = 'retry: 3000\nid: 1-2\n\n: still here\nid: 1-3\n\nid: 1-4\nevent: resync\ndata: {"a":\ndata:1}\n\ndata: ü\r\n\r\ndata\r\rbogus: x\nid: a\0b\ndata: last\n\n';

test("a stream's text means the same however it is cut", () => {
  const read = (pieces) => {
    const seen = [];
    const parser = new SseParser((block) => seen.push(block), (ms) => seen.push(ms));
    for (const piece of pieces) parser.push(piece);
    return seen;
  };
  const whole = read([TEXT]);
  assert.deepEqual(whole, [3000, { id: "1-2", type: "message", data: "" }, { id: "1-3", type: "message", data: "" },
    { id: "1-4", type: "resync", data: '{"a":\n1}' }, { id: null, type: "message", data: "ü" },
    { id: null, type: "message", data: "" }, { id: null, type: "message", data: "last" }]);
  assert.deepEqual(read([...TEXT]), whole);
  for (let at = 0; at <= TEXT.length; at++) assert.deepEqual(read([TEXT.slice(0, at), TEXT.slice(at)]), whole, `at ${at}`);
});

test("close codes say whether to return, when, and as whom", () => {
  for (const [code, reason, returns, afterMs, refresh] of [
    [1006, "", true, 0, false], [1001, "going away; retry in 1234 ms", true, 1234, false],
    [1001, "going away", true, 0, false], [1001, "retry in 99999999 ms", true, 60000, false],
    [4000, "", true, 0, false], [4001, "", true, 0, false], [4003, "bad credentials", true, 0, true],
    [4008, "too slow", true, 0, false], [4499, "", true, 0, false], [4500, "", false, 0, false], [4999, "", false, 0, false],
  ]) assert.deepEqual(verdictOf(code, reason), { returns, afterMs, refresh }, `${code} ${reason}`);
});

test("a request's fields go into the path, the query or the body", () => {
  for (const [endpoint, request, path, body, query = ""] of [
    ["GET /api/v1/markets", {}, "/api/v1/markets", undefined],
    ["GET /api/v1/markets/{symbol}/depth", { symbol: "A/B", limit: 5 }, "/api/v1/markets/A%2FB/depth", undefined, "limit=5"],
    ["DELETE /api/v1/orders/{orderId}", { orderId: "7" }, "/api/v1/orders/7", undefined],
    ["DELETE /api/v1/orders", { symbol: undefined }, "/api/v1/orders", undefined],
    ["PUT /api/v1/orders/{orderId}", { orderId: "7", price: "1" }, "/api/v1/orders/7", '{"price":"1"}'],
    ["POST /api/v1/orders", { symbol: "A-B" }, "/api/v1/orders", '{"symbol":"A-B"}'],
  ]) assert.deepEqual(planOf(endpoint, request), { verb: endpoint.split(" ")[0], path, query, body });
  assert.throws(() => planOf("GET /api/v1/orders/{orderId}", {}), TypeError);
});
