import { Backoff, type BackoffOptions, wait } from "./backoff.js";
import { Channel, Listener } from "./channel.js";
import { guarded } from "./emitter.js";
import { problemError, TradepostError } from "./error.js";
import type { ChannelName, Handlers } from "./events.js";
import { type Fetch, follow } from "./http.js";
import type { Identity } from "./identity.js";
import { type Block, SseParser } from "./sse.js";

const SILENCE_MAX_MS = 45000; // the server says something every 15 s
const STABLE_MS = 5000;

export interface StreamHandlers<C extends ChannelName> extends Handlers<C> {
  /** Every subscription stands: events follow. */
  online?(): void;
  /** Lost; it will be tried again. */
  offline?(retryInMs: number): void;
  /** The server says to stop; undefined: because there is nothing for us (204). */
  stopped?(error: TradepostError | undefined): void;
}

/** Server-sent events of many channels on one connection, by fetch: with our token, and resumed behind the last one. */
export class Stream<C extends ChannelName> {
  readonly #origin: string;
  readonly #query: string;
  readonly #fetch: Fetch;
  readonly #identity: Identity;
  readonly #handlers: StreamHandlers<C>;
  readonly #channels = new Map<string, Channel>();
  readonly #backoff: Backoff;
  readonly #fixedBase: boolean;
  readonly #closing = new AbortController();
  #lastId = "";

  constructor(
    origin: string,
    channels: readonly C[],
    handlers: StreamHandlers<C>,
    fetch: Fetch,
    identity: Identity,
    backoff: BackoffOptions,
  ) {
    this.#origin = origin;
    this.#query = `channels=${channels.map(encodeURIComponent).join(",")}`;
    this.#fetch = fetch;
    this.#identity = identity;
    this.#handlers = handlers;
    this.#backoff = new Backoff(backoff);
    this.#fixedBase = backoff.baseMs !== undefined;
    for (const name of channels) {
      const channel = new Channel(name);
      channel.listeners.add(new Listener(handlers as Handlers<never>));
      this.#channels.set(name, channel);
    }
    void this.#run();
  }

  close(): void {
    for (const channel of this.#channels.values()) for (const listener of channel.listeners) listener.close();
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const began = Date.now();
      let retryAfterMs = 0;
      try {
        if (!(await this.#connect())) return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof TradepostError && !error.temporary) return guarded(() => this.#handlers.stopped?.(error));
        retryAfterMs = (error instanceof TradepostError && error.retryAfterMs) || 0;
      }
      if (Date.now() - began >= STABLE_MS) this.#backoff.reset();
      const delay = retryAfterMs + this.#backoff.next();
      if (!signal.aborted) guarded(() => this.#handlers.offline?.(delay));
      await wait(delay, signal).catch(() => {});
    }
  }

  /** One connection, to its end. false: that was all. Throws when it is refused or lost. */
  async #connect(): Promise<boolean> {
    const { controller, release } = follow(this.#closing.signal);
    try {
      const token = await this.#identity.token();
      let response = await this.#get(token, controller.signal);
      if (response.status === 401 && token && (await this.#identity.recover(token, await refusal(response))))
        response = await this.#get(await this.#identity.token(), controller.signal);
      if (response.status === 204) guarded(() => this.#handlers.stopped?.(undefined));
      if (response.status === 204) return false;
      if (!response.ok) throw await refusal(response);
      await this.#read(response.body!, controller);
      return true;
    } finally {
      controller.abort(); // whatever of it is still open
      release();
    }
  }

  async #get(token: string | null, signal: AbortSignal): Promise<Response> {
    const path = "/api/v1/stream";
    const query = this.#query + (this.#lastId && `&lastEventId=${encodeURIComponent(this.#lastId)}`);
    const ours = await this.#identity.headers(token, { verb: "GET", path, query, body: "" });
    const headers = { Accept: "text/event-stream", ...ours };
    return this.#fetch(`${this.#origin}${path}?${query}`, { headers, signal, credentials: "include", cache: "no-store" });
  }

  async #read(body: ReadableStream<Uint8Array>, controller: AbortController): Promise<void> {
    let online = false;
    const parser = new SseParser(
      (block) => {
        if (!online) guarded(() => this.#handlers.online?.());
        online = true;
        this.#take(block);
      },
      (ms) => {
        if (!this.#fixedBase) this.#backoff.baseMs = ms;
      },
    );
    const decoder = new TextDecoder();
    const reader = body.getReader();
    for (;;) {
      const silence = setTimeout(() => controller.abort(new Error("no sign of life")), SILENCE_MAX_MS);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      parser.push(decoder.decode(value, { stream: true }));
    }
  }

  /** The first block of all says where the stream stands: from there on the channels are followed. */
  #take({ id, data }: Block): void {
    if (id !== null) this.#lastId = id;
    for (const channel of this.#channels.values()) channel.begin();
    if (!data) return;
    const event = JSON.parse(data);
    this.#channels.get(event.channel)?.take(event);
  }
}

async function refusal(response: Response): Promise<TradepostError> {
  const problem = await response.clone().json().catch(() => null);
  return problemError(response.status, problem, response.headers);
}
