import type { RawEvent } from "./events.js";
import { type Part, Parts } from "./parts.js";

/** What we need of a WebSocket: the browser's, Node.js 22's, or that of npm's ws. */
export interface WebSocketLike {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}
export type WebSocketConstructor = new (url: string) => WebSocketLike;

/** The answer to a command. */
export interface Answer {
  msgId: string | null;
  ok: boolean;
  result?: unknown;
  error?: {
    code: string;
    message: string;
    temporary: boolean;
    retryAfterMs?: number;
    errors?: { field: string; reason: string }[];
  };
}

export interface LinkHooks {
  opened(): void;
  answer(answer: Answer): void;
  event(event: RawEvent): void;
  /** Once, at the end, however it came. */
  closed(code: number, reason: string): void;
}

export interface LinkOptions {
  /** Silence after which the other side is asked for a sign of life. */
  heartbeatMs: number;
  /** How long it may take to open, and to give that sign. */
  patienceMs: number;
}

const LOST = 1006;
const PING = "heartbeat";

/** One connection: its messages put together and told apart, and its end noticed even when nobody says so. */
export class Link {
  readonly #socket: WebSocketLike;
  readonly #hooks: LinkHooks;
  readonly #options: LinkOptions;
  readonly #parts = new Parts();
  #timer: ReturnType<typeof setTimeout>;
  #heard = false;
  #ended = false;

  constructor(constructor: WebSocketConstructor, url: string, options: LinkOptions, hooks: LinkHooks) {
    this.#options = options;
    this.#hooks = hooks;
    this.#socket = new constructor(url); // may throw
    this.#timer = setTimeout(() => this.#end(LOST, "it did not open in time"), options.patienceMs);
    this.#socket.onopen = () => {
      this.#watch();
      hooks.opened();
    };
    this.#socket.onmessage = ({ data }) => this.#read(data);
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason);
    this.#socket.onerror = () => {}; // a close follows
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** Ends it from our side. closed() is called at once, with this code; the other side gets 1000. */
  close(code: number, reason: string): void {
    this.#end(code, reason);
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close(1000);
    this.#hooks.closed(code, reason);
  }

  #read(data: unknown): void {
    this.#heard = true;
    try {
      this.#dispatch(JSON.parse(data as string));
    } catch (error) {
      this.#end(1002, String(error)); // not what the protocol says: begin anew
    }
  }

  #dispatch(message: RawEvent | Answer | Part): void {
    if ("channel" in message) return this.#hooks.event(message);
    if (message.msgId === PING) return;
    if ("ok" in message) return this.#hooks.answer(message);
    const whole = this.#parts.add(message);
    if (whole !== null) this.#hooks.answer(JSON.parse(whole));
  }

  /** Waits for silence; then asks; then gives up. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#heard = false;
    this.#timer = setTimeout(() => {
      if (this.#heard) return this.#watch();
      this.send(JSON.stringify({ command: "ping", msgId: PING }));
      this.#timer = setTimeout(() => {
        if (this.#heard) this.#watch();
        else this.#end(LOST, "no sign of life");
      }, this.#options.patienceMs);
    }, this.#options.heartbeatMs);
  }
}
