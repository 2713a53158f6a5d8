// What a channel makes of events, repeats, resyncs and snapshots: the promise "none missing, none twice".
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Channel, isLater, Listener } from "../../dist/channel.js";

const event = (seq, epoch = "e1") => ({ type: "market.trade", channel: "trades:A-B", epoch, seq: String(seq), data: seq });
const resync = (seq, epoch = "e1") => ({ type: "resync", channel: "trades:A-B", epoch, seq: String(seq) });

function channelWith(handlers = {}) {
  const seen = [];
  const channel = new Channel("trades:A-B");
  channel.listeners.add(new Listener({ event: (e) => seen.push(e.data), ...handlers }));
  return { channel, seen };
}

test("seqs are compared as numbers of any length", () => {
  for (const [a, b, later] of [["2", "1", true], ["1", "1", false], ["10", "9", true], ["9", "10", false],
    ["18446744073709551615", "18446744073709551614", true]]) assert.equal(isLater(a, b), later, `${a} > ${b}`);
});

test("an event that was seen is not told again, and the place goes on with each", () => {
  const { channel, seen } = channelWith();
  for (const seq of [3, 5, 5, 3, 9, 10, 9, 11]) channel.take(event(seq));
  assert.deepEqual(seen, [3, 5, 9, 10, 11]);
  assert.deepEqual(channel.place, { epoch: "e1", seq: "11" });
});

test("the answer to a subscription never takes the place back behind what came before it", () => {
  for (const [first, answer, place] of [[[], 7, "7"], [[8, 9], 7, "9"], [[8], 12, "12"]]) {
    const { channel } = channelWith();
    for (const seq of first) channel.take(event(seq));
    channel.subscribed({ epoch: "e1", seq: String(answer) });
    assert.equal(channel.place.seq, place);
  }
});

test("a resync begins anew at its place, in whatever epoch, and tells to reload", () => {
  const reasons = [];
  const { channel, seen } = channelWith({ reload: (why) => void reasons.push(why) });
  channel.subscribed({ epoch: "e1", seq: "1" });
  channel.take(resync(40, "e2"));
  assert.deepEqual(channel.place, { epoch: "e2", seq: "40" });
  channel.take(event(40, "e2"));
  channel.take(event(41, "e2"));
  return turn().then(() => {
    assert.deepEqual(seen, [41]);
    assert.deepEqual(reasons, ["begin", "resync"], "the snapshot is read once more, not at the same time");
  });
});

test("another epoch without a resync is one", async () => {
  let reloads = 0;
  const { channel, seen } = channelWith({ reload: () => void reloads++ });
  channel.take(event(5));
  channel.subscribed({ epoch: "e1", seq: "5" });
  await turn();
  channel.take(event(2, "e2"));
  await turn();
  assert.deepEqual(seen, [5, 2]);
  assert.equal(reloads, 2);
});

test("events wait for the snapshot; those of before another resync are in the next snapshot", async () => {
  const reading = [];
  const { channel, seen } = channelWith({ reload: () => new Promise((done) => reading.push(done)) });
  channel.subscribed({ epoch: "e1", seq: "0" });
  channel.take(event(1));
  channel.take(event(2));
  assert.deepEqual(seen, []);
  channel.take(resync(2));
  channel.take(event(3));
  reading.shift()();
  await turn();
  assert.deepEqual(seen, [], "it is being read again");
  reading.shift()();
  await turn();
  assert.deepEqual(seen, [3]);
  channel.take(event(4));
  assert.deepEqual(seen, [3, 4]);
});

test("a snapshot that fails is read again, and nothing is lost meanwhile", async () => {
  let tries = 0;
  const done = new Promise((resolve) => {
    const { channel, seen } = channelWith({
      reload: () => { if (++tries < 2) throw new Error("503"); },
      event: (e) => { seen.push(e.data); if (e.data === 2) resolve(seen); },
    });
    channel.subscribed({ epoch: "e1", seq: "0" });
    channel.take(event(1));
    channel.take(event(2));
  });
  assert.deepEqual(await done, [1, 2]);
  assert.equal(tries, 2);
});

test("what is kept while a snapshot is read is bounded: beyond, it is read again", async () => {
  const reading = [];
  const { channel, seen } = channelWith({ reload: () => new Promise((done) => reading.push(done)) });
  channel.subscribed({ epoch: "e1", seq: "0" });
  for (let seq = 1; seq <= 10002; seq++) channel.take(event(seq));
  reading.shift()();
  await turn();
  reading.shift()();
  await turn();
  assert.deepEqual(seen, [10002]);
});

test("a listener that throws disturbs no other, and its error is not swallowed", async () => {
  const caught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  const { channel, seen } = channelWith();
  const broken = new Listener({ event() { throw new Error("of the application"); } });
  channel.listeners.add(broken);
  channel.take(event(1));
  assert.match(String(await caught), /of the application/);
  process.setUncaughtExceptionCaptureCallback(null);
  channel.listeners.delete(broken);
  channel.take(event(2));
  assert.deepEqual(seen, [1, 2]);
});
