// A client against the generated types: what must compile, and what must not.
import type {
  CommandAnswer, CommandMessage, Commands, Endpoints, EventMessage, Events, Order, PlaceOrderRequest, Problem,
} from "./tradepost";

const order: PlaceOrderRequest = { symbol: "BTC-USDT", side: "BUY", type: "LIMIT", quantity: "0.01", price: "60000" };

const message: CommandMessage<"orders.place"> = { command: "orders.place", msgId: "7", ...order };

function answered(answer: CommandAnswer<"orders.place">): string {
  if (!answer.ok) return `${answer.error.code} ${answer.error.temporary}`;
  const placed: Order = answer.result;
  return placed.createdAt ?? placed.status;
}

function happened(event: EventMessage<"order.filled">): string {
  const channel: "user.orders" = event.channel;
  return channel + event.seq + (event.data.order?.orderId ?? "");
}

const prices: Events["market.price"]["channel"] = "prices:BTC-USDT";

async function call<E extends keyof Endpoints>(endpoint: E, request: Endpoints[E]["request"]) {
  const answer = await send(endpoint, request);
  return answer as Endpoints[E]["response"] | Problem;
}
declare function send(endpoint: string, request: unknown): Promise<unknown>;

void call("GET /api/v1/orders/{orderId}", { orderId: "281474976710657" });
void [message, answered, happened, prices];

// @ts-expect-error: a quantity is a decimal string, never a float
order.quantity = 0.01;
// @ts-expect-error: no such side
order.side = "LONG";
// @ts-expect-error: no such field
void order.amount;
// @ts-expect-error: the symbol is required
void ({ side: "BUY", type: "LIMIT", quantity: "1" } satisfies PlaceOrderRequest);
// @ts-expect-error: no such command
type Missing = Commands["orders.explode"];
// @ts-expect-error: not that channel
const wrong: Events["market.price"]["channel"] = "trades:BTC-USDT";
