// The fan-out benchmark's peer: socket.io. Usage: node fanout_socketio.mjs PORT; lines "CHANNEL JSON" on stdin.
import { createInterface } from "node:readline";
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { transports: ["websocket"] });
io.on("connection", (socket) => {
  socket.on("subscribe", (names) => {
    for (const name of names) socket.join(name);
    socket.emit("subscribed", { ok: true });
  });
});
http.listen(Number(process.argv[2]), "127.0.0.1", 1024, () => console.log("ready"));
createInterface({ input: process.stdin }).on("line", (line) => {
  const space = line.indexOf(" ");
  io.to(line.slice(0, space)).emit("event", JSON.parse(line.slice(space + 1)));
});
