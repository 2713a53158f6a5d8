// The fan-out benchmark's peer: npm's ws. Usage: node fanout_ws.mjs PORT; lines "CHANNEL JSON" on stdin.
import { createInterface } from "node:readline";
import { WebSocketServer } from "ws";

const channels = new Map();
const server = new WebSocketServer({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 1024 });
server.on("listening", () => console.log("ready"));
server.on("connection", (socket) => {
  socket.on("message", (data) => {
    const { msgId, channels: names } = JSON.parse(data);
    for (const name of names) {
      if (!channels.has(name)) channels.set(name, new Set());
      channels.get(name).add(socket);
    }
    socket.send(JSON.stringify({ msgId, ok: true }));
  });
  socket.on("close", () => channels.forEach((listeners) => listeners.delete(socket)));
});
createInterface({ input: process.stdin }).on("line", (line) => {
  const space = line.indexOf(" ");
  const text = Buffer.from(line.slice(space + 1));
  for (const socket of channels.get(line.slice(0, space)) ?? []) socket.send(text, { binary: false });
});
