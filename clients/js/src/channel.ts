import { Backoff, wait } from "./backoff.js";
import { guarded } from "./emitter.js";
import type { ChannelName, Handlers, Place, RawEvent } from "./events.js";

/** Events kept while a snapshot is being read; beyond, it is read again instead. */
const HELD_MAX = 10000;

/** Seqs are whole numbers without leading zeros, too large for a number in principle. */
export function isLater(seq: string, than: string): boolean {
  return seq.length === than.length ? seq > than : seq.length > than.length;
}

/** One listener of a channel: gets events, or has them kept while it reloads. */
export class Listener {
  readonly #handlers: Handlers;
  readonly #closing = new AbortController();
  #held: RawEvent[] | null = null; // null: nothing is being read
  #again = false;
  #why: "begin" | "resync" = "begin";

  constructor(handlers: Handlers) {
    this.#handlers = handlers;
  }

  event(event: RawEvent): void {
    if (!this.#held) return this.#hand(event);
    this.#held.push(event);
    if (this.#held.length <= HELD_MAX) return;
    this.#held = [];
    this.#again = true;
  }

  /** What was kept so far is in the snapshot that is to be read. */
  async reload(why: "begin" | "resync", channel: string): Promise<void> {
    const { reload } = this.#handlers;
    if (!reload) return;
    this.#why = why;
    const runs = this.#held !== null;
    this.#held = [];
    this.#again = runs;
    if (runs) return;
    const backoff = new Backoff();
    do {
      this.#again = false;
      try {
        await reload.call(this.#handlers, this.#why, channel as ChannelName);
      } catch {
        this.#again = true;
        await wait(backoff.next(), this.#closing.signal).catch(() => {});
      }
    } while (this.#again && !this.#closing.signal.aborted);
    const held = this.#held;
    this.#held = null;
    for (const event of held) this.#hand(event);
  }

  refused(error: Error): void {
    if (!this.#closing.signal.aborted) guarded(() => this.#handlers.refused?.(error));
  }

  close(): void {
    this.#closing.abort();
  }

  #hand(event: RawEvent): void {
    if (!this.#closing.signal.aborted) guarded(() => this.#handlers.event(event as never));
  }
}

/** A channel and the place up to which its events were seen: what tells a repeat from news, and where to resume. */
export class Channel {
  readonly name: string;
  readonly listeners = new Set<Listener>();
  place: Place | null = null;
  /** Its beginning was told. */
  begun = false;

  constructor(name: string) {
    this.name = name;
  }

  /** An event of this channel, or a resync. */
  take(event: RawEvent): void {
    const sameEpoch = this.place?.epoch === event.epoch;
    if (event.type === "resync") return this.resync(event);
    if (sameEpoch && !isLater(event.seq, this.place!.seq)) return; // seen before
    if (this.place && !sameEpoch) this.resync(event); // it always comes with one; should it not, this stands for it
    this.place = { epoch: event.epoch, seq: event.seq };
    for (const listener of this.listeners) listener.event(event);
  }

  /** The past is gone; events follow behind this place. */
  resync({ epoch, seq }: Place): void {
    this.place = { epoch, seq };
    for (const listener of this.listeners) void listener.reload("resync", this.name);
  }

  /** The subscription stands, at this place. Events may have come before this was said. */
  subscribed({ epoch, seq }: Place): void {
    if (this.place && this.place.epoch !== epoch) this.resync({ epoch, seq });
    else if (!this.place || isLater(seq, this.place.seq)) this.place = { epoch, seq };
    this.begin();
  }

  begin(): void {
    if (this.begun) return;
    this.begun = true;
    for (const listener of this.listeners) void listener.reload("begin", this.name);
  }

  /** For another user it is another channel. */
  forget(): void {
    this.place = null;
    this.begun = false;
  }
}
