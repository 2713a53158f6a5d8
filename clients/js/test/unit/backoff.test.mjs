import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff, wait } from "../../dist/backoff.js";

test("waits grow to the cap, and are spread over all of it", () => {
  for (const [random, expected] of [
    [0, [0, 0, 0, 0, 0]],
    [0.5, [50, 100, 200, 250, 250]],
    [0.999999, [99, 199, 399, 499, 499]],
  ]) {
    const backoff = new Backoff({ baseMs: 100, capMs: 500, random: () => random });
    assert.deepEqual(Array.from({ length: 5 }, () => backoff.next()), expected);
    for (let i = 0; i < 5000; i++) assert.ok(backoff.next() <= 500);
    backoff.reset();
    assert.equal(backoff.next(), expected[0]);
  }
});

test("a wait that is given up ends at once, with the reason", async () => {
  const controller = new AbortController();
  const waiting = wait(1e9, controller.signal);
  controller.abort("enough");
  await assert.rejects(waiting, (reason) => reason === "enough");
  await assert.rejects(wait(0, controller.signal), (reason) => reason === "enough");
});
