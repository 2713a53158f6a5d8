// The signatures that docs/api-keys.md shows, which OpenSSL made.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiKey } from "../../dist/index.js";

const id = "019a3b5c7d8e7f0192a3b4c5d6e7f80a";
const secret = "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfe";
const privateKey = `-----BEGIN PRIVATE KEY-----
${Buffer.from("302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex").toString("base64")}
-----END PRIVATE KEY-----
`;
const ORDER = { verb: "POST", path: "/api/v1/orders", query: "",
  body: '{"symbol":"BTC-USDT","side":"BUY","type":"LIMIT","quantity":"0.5","price":"60000"}' };
const now = () => 1769903999123;

test("a request is signed as documented, by both kinds of key", async () => {
  for (const [kind, signature] of [
    [{ secret }, "acedffd0de5128a6d92c650d9ec50df70c11685b56409a0054aaa030698eff41"],
    [{ privateKey }, "MW4VYBkT+TVr9vwQ1fOuNh0Jczwi3VF2qfUjdf2llSU3hKVfCpNT5QDSdJtEh9FEor0A3DSTEdxlTavfMhHNAg=="],
  ]) assert.deepEqual(await new ApiKey({ id, now, ...kind }).headers(null, ORDER),
    { "X-API-KEY": id, "X-API-TIMESTAMP": "1769903999123", "X-API-SIGNATURE": signature });
});

test("nothing is signed twice alike, and the server's clock is followed", async () => {
  const key = new ApiKey({ id, secret, now });
  const times = async () => (await key.headers(null, ORDER))["X-API-TIMESTAMP"];
  assert.deepEqual([await times(), await times(), await times()], ["1769903999123", "1769903999124", "1769903999125"]);
  assert.equal(await key.recover(id, { code: "timestamp_out_of_window", serverTimeMs: now() + 50000 }), true);
  assert.equal(await times(), String(now() + 50000));
  assert.equal(await key.recover(id, { code: "bad_signature" }), false);
  assert.equal(await key.token(), null);
});

test("a key without, or with two, ways to sign is refused", () => {
  for (const wrong of [{}, { secret, privateKey }]) assert.throws(() => new ApiKey({ id, ...wrong }), TypeError);
});
