// Places orders that are shown at once, while the platform is killed under it.
// Usage: node optimist.mjs '{"url":..,"symbol":..,"email":..,"password":..,"orders":200}'; prints what it showed in the end.
import { Tradepost } from "../../dist/index.js";

const { symbol, email, password, orders, url } = JSON.parse(process.argv[2]);
const client = new Tradepost({ url, backoff: { baseMs: 50, capMs: 500 } });
await client.signIn({ email, password });
const shown = [];
const tries = { apply: 0, commit: 0, rollback: 0 };

async function lane(lots) {
  for (let n = 0; n < orders / 4; n++) {
    const quantity = n % 10 === 9 ? "100000" : `0.0${lots}`; // every tenth is more than there is
    await client.optimistic("orders.place", { symbol, side: "BUY", type: "LIMIT", quantity, price: "50000" }, {
      apply: () => (tries.apply++, shown.push("sending") - 1),
      commit: ({ orderId }, at) => (tries.commit++, (shown[at] = orderId)),
      rollback: (error, at) => (tries.rollback++, (shown[at] = error.code)),
    }).catch((error) => { if (error.code !== "insufficient_funds") throw error; });
    if (n === 5) console.log("under way");
  }
}
await Promise.all([1, 2, 3, 4].map(lane));
console.log(JSON.stringify({ shown, tries }));
client.close();
