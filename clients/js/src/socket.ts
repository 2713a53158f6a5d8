import { Backoff, type BackoffOptions, wait } from "./backoff.js";
import { Channel, Listener } from "./channel.js";
import { Commands, type CommandOptions } from "./commands.js";
import { Emitter } from "./emitter.js";
import { closedError, TradepostError } from "./error.js";
import type { ChannelName, Handlers } from "./events.js";
import type { Commands as CommandMap, SubscribeResponse } from "./generated/contract.js";
import { Link, type LinkOptions, type WebSocketConstructor } from "./link.js";
import type { Identity } from "./identity.js";
import { BAD_CREDENTIALS, verdictOf } from "./verdict.js";

const STABLE_MS = 5000; // a connection that lived so long was a good one
const CHANNELS_MAX = 100; // of one subscribe
const LOST = 1006;
const PRIVATE = "user.";

export interface SocketOptions extends LinkOptions {
  /** For who is logged in, and for guests. */
  main: string;
  guest: string;
  WebSocket: WebSocketConstructor;
  backoff: BackoffOptions;
}

export type SocketEvents = {
  /** Connected, authenticated, every subscription asked for: from here on nothing waits. */
  online: void;
  /** The connection is lost, and will be tried again. */
  offline: { code: number; reason: string; retryInMs: number };
  /** The server said not to come back (4500 and above); or there is no way to connect at all (1006). */
  stopped: { code: number; reason: string };
  /** A channel was refused for good. */
  refused: { channel: string; error: Error };
};

/** A subscription; close() ends it. */
export interface Subscription {
  close(): void;
}

/** Stays connected: comes back after a loss, says who we are, resumes every channel where it was. */
export class Socket extends Emitter<SocketEvents> {
  readonly #options: SocketOptions;
  readonly #identity: Identity;
  readonly #commands = new Commands();
  readonly #channels = new Map<string, Channel>();
  /** The connection a channel was last asked for on. */
  readonly #askedOn = new WeakMap<Channel, Link>();
  readonly #backoff: Backoff;
  #state: "idle" | "running" | "ended" = "idle";
  #link: Link | null = null;
  #token: string | null = null; // of the link
  #stale: string | null = null; // a token that was refused,
  #why: TradepostError | undefined; // and what was said about it
  #user: string | undefined;
  #ready = false;
  #readyAt = 0;
  #opening = 0; // counts: what an older one brings is of no interest
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushes = false;

  constructor(options: SocketOptions, identity: Identity) {
    super();
    this.#options = options;
    this.#identity = identity;
    this.#backoff = new Backoff(options.backoff);
    identity.on("token", (token) => this.#authenticateAgain(token));
    identity.on("signedIn", (user) => this.#changeUser(user?.userId));
    identity.on("signedOut", () => this.#changeUser(undefined));
  }

  /** Connected, authenticated, and ready for commands. */
  get online(): boolean {
    return this.#ready;
  }

  /** Begins. Commands and subscriptions do so by themselves. */
  connect(): void {
    if (this.#state === "ended") throw closedError();
    if (this.#state === "running") return;
    this.#state = "running";
    globalThis.addEventListener?.("online", this.#hurry);
    void this.#open();
  }

  close(why = closedError()): void {
    this.#state = "ended";
    globalThis.removeEventListener?.("online", this.#hurry);
    clearTimeout(this.#timer);
    this.#opening++;
    this.#ready = false;
    const link = this.#link;
    this.#link = null;
    link?.close(1000, "");
    for (const channel of this.#channels.values()) for (const listener of channel.listeners) listener.close();
    this.#commands.close(why);
  }

  /** One command, one answer. Throws TradepostError; what was on its way when the connection was lost is `unknown`. */
  async command<C extends keyof CommandMap>(
    command: C,
    request: CommandMap[C]["request"],
    options?: CommandOptions,
  ): Promise<CommandMap[C]["response"]> {
    this.connect();
    return this.#commands.run(command, request, options) as Promise<CommandMap[C]["response"]>;
  }

  subscribe<C extends ChannelName>(name: C, handlers: Handlers<C>): Subscription {
    this.connect();
    const channel = this.#channels.get(name) ?? new Channel(name);
    const listener = new Listener(handlers as Handlers<never>);
    this.#channels.set(name, channel);
    channel.listeners.add(listener);
    if (channel.begun) void listener.reload("begin", name);
    this.#flushSoon();
    return { close: () => this.#unsubscribe(channel, listener) };
  }

  #unsubscribe(channel: Channel, listener: Listener): void {
    listener.close();
    if (!channel.listeners.delete(listener) || channel.listeners.size > 0) return;
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name);
    const link = this.#link;
    if (link && this.#askedOn.get(channel) === link)
      this.#ask(link, "unsubscribe", { channels: [channel.name] }).catch(() => {}); // then the link is lost anyway
  }

  // ---- coming and going ----

  async #open(): Promise<void> {
    const opening = ++this.#opening;
    clearTimeout(this.#timer);
    let token: string | null;
    try {
      const useless = this.#stale !== null && !(await this.#identity.recover(this.#stale, this.#why));
      token = useless ? null : await this.#identity.token();
    } catch (error) {
      if (opening === this.#opening) this.#retry(0, LOST, String(error));
      return;
    }
    if (opening !== this.#opening) return;
    this.#stale = null;
    this.#why = undefined;
    this.#token = token;
    const { WebSocket, main, guest } = this.#options;
    try {
      const link: Link = new Link(WebSocket, token ? main : guest, this.#options, {
        opened: () => void this.#greet(link, token),
        answer: (answer) => this.#commands.answer(answer),
        event: (event) => this.#channels.get(event.channel)?.take(event),
        closed: (code, reason) => this.#closed(link, code, reason),
      });
      this.#link = link;
    } catch (error) {
      this.#stop(error); // there is no WebSocket, or it may not go there: no other try would do better
    }
  }

  #stop(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.close(new TradepostError({ code: "closed", detail: reason, cause: error }));
    this.emit("stopped", { code: LOST, reason });
  }

  /** Says who we are, then asks for the channels; then the rest may go. */
  async #greet(link: Link, token: string | null): Promise<void> {
    try {
      if (token) await this.#authenticate(link, token);
      while (this.#link === link && (await this.#flush(link)));
    } catch (error) {
      const refused = error instanceof TradepostError && !error.temporary;
      if (refused) this.#why = error;
      link.close(refused ? BAD_CREDENTIALS : LOST, String(error));
    }
    if (this.#link !== link) return;
    this.#ready = true;
    this.#readyAt = Date.now();
    this.#commands.attach((text) => link.send(text));
    this.emit("online", undefined);
  }

  #closed(link: Link, code: number, reason: string): void {
    if (this.#link !== link) return;
    this.#link = null;
    this.#commands.detach();
    const verdict = verdictOf(code, reason);
    if (!verdict.returns) {
      this.close();
      this.emit("stopped", { code, reason });
      return;
    }
    if (verdict.refresh) this.#stale = this.#token;
    if (this.#ready && Date.now() - this.#readyAt >= STABLE_MS) this.#backoff.reset();
    this.#retry(verdict.afterMs, code, reason);
  }

  #retry(afterMs: number, code: number, reason: string): void {
    const retryInMs = afterMs + this.#backoff.next();
    const wasReady = this.#ready;
    this.#ready = false;
    this.#timer = setTimeout(() => void this.#open(), retryInMs);
    if (wasReady) this.emit("offline", { code, reason, retryInMs });
  }

  /** The browser has a network again. */
  readonly #hurry = () => {
    if (!this.#link) void this.#open();
  };

  // ---- who we are ----

  #authenticateAgain(token: string): void {
    const link = this.#link;
    if (!link || !this.#ready || !this.#token) return;
    this.#token = token;
    this.#authenticate(link, token).catch(() => {}); // then it closes the connection with 4003
  }

  async #authenticate(link: Link, token: string): Promise<void> {
    const credentials = await this.#identity.credentials(token);
    if (this.#link === link) await this.#ask(link, "authenticate", credentials);
  }

  /** Another user, another connection; what is public is resumed, what was the other's is not. */
  #changeUser(user: string | undefined): void {
    const same = user !== undefined && user === this.#user;
    this.#user = user;
    for (const channel of this.#channels.values())
      if (!same && channel.name.startsWith(PRIVATE)) channel.forget();
    if (this.#state !== "running") return;
    const link = this.#link;
    this.#link = null;
    this.#ready = false;
    link?.close(1000, "");
    this.#commands.detach();
    void this.#open();
  }

  // ---- channels ----

  #ask(link: Link, command: string, request: object): Promise<unknown> {
    return this.#commands.ask((text) => link.send(text), command, request, this.#options.patienceMs);
  }

  /** Subscriptions made in one go are asked for in one go. */
  #flushSoon(): void {
    if (this.#flushes || !this.#ready) return;
    this.#flushes = true;
    queueMicrotask(() => {
      this.#flushes = false;
      if (this.#link && this.#ready) void this.#flush(this.#link);
    });
  }

  /** Asks for every channel that was not asked for on this link; false: there was none. */
  async #flush(link: Link): Promise<boolean> {
    const missing = [...this.#channels.values()].filter((channel) => this.#askedOn.get(channel) !== link);
    for (const channel of missing) this.#askedOn.set(channel, link);
    const fresh = missing.filter((channel) => !channel.place);
    const asked = missing.filter((channel) => channel.place).map((channel) => this.#subscribe(link, [channel]));
    while (fresh.length > 0) asked.push(this.#subscribe(link, fresh.splice(0, CHANNELS_MAX)));
    await Promise.all(asked);
    return missing.length > 0;
  }

  /** A channel with a place is resumed there, and then goes alone. Never throws. */
  async #subscribe(link: Link, channels: Channel[], backoff = new Backoff(this.#options.backoff)): Promise<void> {
    const since = channels[0]!.place;
    try {
      const request = { channels: channels.map(({ name }) => name), ...(since ? { since } : {}) };
      const { items } = (await this.#ask(link, "subscribe", request)) as SubscribeResponse;
      items.forEach((item, i) => channels[i]!.subscribed(item));
    } catch (error) {
      if (this.#link !== link) return; // it is asked for again on the next
      if (!(error instanceof TradepostError) || error.temporary) {
        const afterMs = error instanceof TradepostError ? (error.retryAfterMs ?? 0) : 0;
        void wait(afterMs + backoff.next()).then(() => {
          const wanted = channels.filter((channel) => this.#channels.get(channel.name) === channel);
          if (this.#link === link && wanted.length > 0) void this.#subscribe(link, wanted, backoff);
        });
      } else if (channels.length > 1) {
        await Promise.all(channels.map((channel) => this.#subscribe(link, [channel])));
      } else {
        this.#refuse(channels[0]!, error);
      }
    }
  }

  #refuse(channel: Channel, error: TradepostError): void {
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name);
    for (const listener of channel.listeners) listener.refused(error);
    this.emit("refused", { channel: channel.name, error });
  }
}
