// A client in JavaScript, with npm's ws: places an order and shows the events that belong to it.
// Usage: node ws_client.mjs URL TOKEN ORDER-JSON
import WebSocket from "ws";

const [url, token, order] = process.argv.slice(2);
const socket = new WebSocket(url);
const send = (message) => socket.send(JSON.stringify(message));
const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail("nothing happens"), 10000);
let orderId;

socket.on("open", () => send({ type: "authenticate", msgId: "a", data: { token } }));
socket.on("error", fail);
socket.on("message", (data) => {
  const message = JSON.parse(data);
  if (message.ok === false) fail(data.toString());
  if (message.msgId === "a") send({ command: "subscribe", msgId: "s", channels: ["user.orders"] });
  if (message.msgId === "s") send({ command: "orders.place", msgId: "o", ...JSON.parse(order) });
  if (message.msgId === "o") orderId = message.result.orderId;
  if (message.type === "order.accepted") {
    console.log(JSON.stringify({ orderId: message.data.order.orderId, seq: message.seq }));
    socket.ping();
  }
});
socket.on("pong", () => socket.close(1000));
socket.on("close", (code) => process.exit(orderId && code === 1000 ? 0 : 1));
