import type { EventMessage, Events } from "./generated/contract.js";

/** Every channel: `user.orders`, `trades:BTC-USDT`, ... */
export type ChannelName = Events[keyof Events]["channel"];

/** What can happen on a channel, told apart by `type`. */
export type EventOf<C extends ChannelName> = {
  [E in keyof Events]: C extends Events[E]["channel"] ? EventMessage<E> : never;
}[keyof Events];

/** A place in a channel's events. */
export interface Place {
  epoch: string;
  seq: string;
}

/** Any event, before its channel's type is known. */
export interface RawEvent extends Place {
  type: string;
  channel: string;
  timestamp: string;
  data: unknown;
}

/** What the application does with a channel. */
export interface Handlers<C extends ChannelName = ChannelName> {
  /** Every event of the channel: in order, none missing, none twice, until `reload` says otherwise. */
  event(event: EventOf<C>): void;
  /**
   * Read anew what you keep of the channel (balances, open orders, the book): when it begins, and whenever the past
   * is gone. Events that come meanwhile are handed over when the promise is done, so a snapshot may already contain
   * the first of them. Rejects: it is called again, after a while.
   */
  reload?(why: "begin" | "resync", channel: C): void | Promise<void>;
  /** The channel is refused for good (no such channel, not allowed). */
  refused?(error: Error): void;
}
