// npm's ws on TLS: what it offers, splits and asks, until the gateway stops.
// Usage: node foreign_ws.mjs '{"url":..,"ca":..,"token":..,"order":{..}}'
// Says "ready" once all was answered; then waits for the end and prints what it saw.
import { readFileSync } from "node:fs";
import WebSocket from "ws";

const { url, ca, token, order } = JSON.parse(process.argv[2]);
const socket = new WebSocket(url, { ca: readFileSync(ca), perMessageDeflate: { threshold: 0 } });
const seen = { events: [], pongs: [] };
const waiting = new Map();

function command(name, parameters, send = (text) => socket.send(text)) {
  const msgId = String(waiting.size + 1);
  return new Promise((resolve, reject) => {
    waiting.set(msgId, ({ ok, result, error }) => (ok ? resolve(result) : reject(new Error(JSON.stringify(error)))));
    send(JSON.stringify({ command: name, msgId, ...parameters }));
  });
}

/** Three fragments, the second one empty, with a ping between them. */
function inFragments(text) {
  const half = text.length >> 1;
  socket.send(text.slice(0, half), { fin: false });
  socket.ping("between fragments");
  socket.send("", { fin: false });
  socket.send(text.slice(half), { fin: true });
}

function next(condition) {
  return new Promise((resolve) => socket.on("message", () => condition() && resolve()));
}

socket.on("error", (error) => { throw error; });
socket.on("upgrade", ({ headers }) => { seen.accepted = headers["sec-websocket-extensions"] ?? null; });
socket.on("pong", (data) => seen.pongs.push(data.toString()));
socket.on("message", (data) => {
  const message = JSON.parse(data);
  if (message.msgId) waiting.get(message.msgId)(message);
  else seen.events.push(message);
});
socket.on("open", async () => {
  await command("authenticate", { token });
  await command("subscribe", { channels: ["user.orders"] }, inFragments);
  const accepted = next(() => seen.events.some(({ type }) => type === "order.accepted"));
  seen.orderId = (await command("orders.place", order)).orderId;
  await accepted;
  socket.ping("after all", undefined, (error) => { if (error) throw error; });
  socket.on("pong", (data) => data.toString() === "after all" && console.log("ready"));
});
socket.on("close", (code, reason) => {
  console.log(JSON.stringify({ ...seen, extensions: socket.extensions, code, reason: reason.toString() }));
});
