// A client against the generated types: what must compile, and what must not.
import type {
  AnyEvent, Channel, ChannelEvent, CommandAnswer, CommandMessage, Commands, Endpoints, ErrorCode, EventMessage, Events,
  Order, PlaceOrderRequest, Problem,
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

function told(event: AnyEvent): string {
  switch (event.type) {
    case "market.price": return event.data.last;
    case "market.trade": return event.data.trade?.tradeId ?? "";
    default: return event.seq;
  }
}

const balances: Channel = "user.balances";
function mine(event: ChannelEvent<"user.orders">): Order | null {
  return event.data.order;
}
const poor: ErrorCode = "insufficient_funds";
declare const problem: Problem;
const limited: boolean = problem.code === "rate_limited" || problem.code === "a_word_of_tomorrow";
void [message, answered, happened, prices, told, balances, mine, poor, limited];

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
// @ts-expect-error: no such word
const never: ErrorCode = "kaputt";
// @ts-expect-error: that channel has no such event
const strange: ChannelEvent<"user.orders">["type"] = "market.price";
