import type { BackoffOptions } from "./backoff.js";
import type { CommandOptions } from "./commands.js";
import { Emitter } from "./emitter.js";
import { TradepostError } from "./error.js";
import type { ChannelName, Handlers } from "./events.js";
import type { Commands, LoginRequest, User } from "./generated/contract.js";
import type { Fetch } from "./http.js";
import type { WebSocketConstructor } from "./link.js";
import { optimistic, type OptimisticHooks } from "./optimistic.js";
import { type Arguments, type CallOptions, type Method, type RequestOf, type ResponseOf, Rest } from "./rest.js";
import type { Identity } from "./identity.js";
import { Session, type SessionOptions } from "./session.js";
import { Socket, type SocketEvents, type Subscription } from "./socket.js";
import { Stream, type StreamHandlers } from "./stream.js";

const PORTS = { main: 3332, guest: 3334 };
const DECIDE_MS = 10 * 60 * 1000; // far below the day that a key is kept

export interface TradepostOptions extends SessionOptions {
  /** Where REST is: `https://example.com:3333`. In a browser the page's own origin by default. */
  url?: string;
  /** The WebSocket of who is logged in. Default: the same host, port 3332. */
  ws?: string;
  /** The WebSocket of guests. Default: the same host, port 3334. */
  guestWs?: string;
  /** For bots: an ApiKey, which takes the place of logging in. */
  apiKey?: Identity;
  /** Where there is none (Node.js below 22): that of npm's `ws`. */
  WebSocket?: WebSocketConstructor;
  fetch?: Fetch;
  backoff?: BackoffOptions;
  /** Silence on the WebSocket after which the server is asked for a sign of life. Default 20000. */
  heartbeatMs?: number;
  /** How long that, and connecting, may take. Default 10000. */
  patienceMs?: number;
}

export type TradepostEvents = SocketEvents & {
  /** Somebody has logged in. */
  signedIn: User | null;
  /** The session has ended: by signOut() (`null`), or because the server says so. */
  signedOut: TradepostError | null;
};

/** All of it behind one door. Nothing connects before it is needed; close() ends everything. */
export class Tradepost extends Emitter<TradepostEvents> {
  readonly session: Session;
  readonly #origin: string;
  readonly #fetch: Fetch;
  readonly #backoff: BackoffOptions;
  readonly #identity: Identity;
  readonly #rest: Rest;
  readonly #socket: Socket;
  readonly #streams = new Set<Stream<never>>();

  constructor(options: TradepostOptions = {}) {
    super();
    const url = options.url ?? globalThis.location?.origin;
    if (!url) throw new TypeError("Tradepost needs a url: https://HOST:3333");
    this.#origin = new URL(url).origin;
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#backoff = options.backoff ?? {};
    this.session = new Session(this.#origin, this.#fetch, options, this.#backoff);
    this.#identity = options.apiKey ?? this.session;
    this.#rest = new Rest(this.#origin, this.#fetch, this.#identity, this.#backoff);
    this.#socket = new Socket(
      {
        main: options.ws ?? socketUrl(this.#origin, PORTS.main),
        guest: options.guestWs ?? socketUrl(this.#origin, PORTS.guest),
        WebSocket: options.WebSocket ?? ((globalThis.WebSocket as WebSocketConstructor | undefined) || NoWebSocket),
        backoff: this.#backoff,
        heartbeatMs: options.heartbeatMs ?? 20000,
        patienceMs: options.patienceMs ?? 10000,
      },
      this.#identity,
    );
    for (const name of ["online", "offline", "stopped", "refused"] as const)
      this.#socket.on(name, (event) => this.emit(name, event as never));
    for (const name of ["signedIn", "signedOut"] as const)
      this.#identity.on(name, (event) => this.emit(name, event as never));
  }

  /** The WebSocket is connected and authenticated. */
  get online(): boolean {
    return this.#socket.online;
  }

  // ---- who we are ----

  /** Logs in; from here on every call and connection is that user's. */
  signIn(credentials: LoginRequest): Promise<User | null> {
    return this.session.signIn(credentials);
  }

  /** After a reload of the page: goes on with the session of the cookie; null: there is none. */
  resume(): Promise<User | null> {
    return this.session.resume();
  }

  /** Ends the session, here and at the server. */
  signOut(): Promise<void> {
    return this.session.signOut();
  }

  // ---- asking ----

  /**
   * Calls a method over REST, by name: `call("orders.place", {...})`. Failures that may pass are tried again: reads,
   * and mutations under one Idempotency-Key, so that nothing is done twice. Throws TradepostError.
   */
  call<M extends Method>(method: M, ...rest: Arguments<RequestOf<M>>): Promise<ResponseOf<M>> {
    return this.#rest.call(method, ...rest);
  }

  /**
   * Sends a command on the WebSocket: quicker than call(), and not tried again. A command that was on its way when the
   * connection was lost rejects with `unknown`.
   */
  command<C extends keyof Commands>(
    command: C,
    ...[request, options]: {} extends Commands[C]["request"]
      ? [request?: Commands[C]["request"], options?: CommandOptions]
      : [request: Commands[C]["request"], options?: CommandOptions]
  ): Promise<Commands[C]["response"]> {
    return this.#socket.command(command, (request ?? {}) as Commands[C]["request"], options);
  }

  /**
   * call(), shown before it is confirmed: applies at once, then commits or rolls back. While the outcome is unknown
   * (5xx, no answer) the same request is tried again, up to ten minutes; an outcome that stays unknown is thrown, and
   * nothing is rolled back.
   */
  optimistic<M extends Method, Undo = void>(
    method: M,
    request: RequestOf<M>,
    hooks: OptimisticHooks<ResponseOf<M>, Undo>,
    options: CallOptions = {},
  ): Promise<ResponseOf<M>> {
    const patient = { retryForMs: DECIDE_MS, ...options };
    const call = this.#rest.call.bind(this.#rest) as (m: M, r: RequestOf<M>, o: CallOptions) => Promise<ResponseOf<M>>;
    return optimistic(hooks, () => call(method, request, patient));
  }

  // ---- listening ----

  /** Connects the WebSocket; what needs it does so by itself. */
  connect(): void {
    this.#socket.connect();
  }

  /** Events of a channel, on the WebSocket: in order, each once, resumed after every loss of the connection. */
  subscribe<C extends ChannelName>(channel: C, handlers: Handlers<C>): Subscription {
    return this.#socket.subscribe(channel, handlers);
  }

  /** The same as server-sent events, several channels on one connection: where WebSockets do not get through. */
  stream<C extends ChannelName>(channels: readonly C[], handlers: StreamHandlers<C>): Subscription {
    const stream = new Stream(this.#origin, channels, handlers, this.#fetch, this.#identity, this.#backoff);
    this.#streams.add(stream as unknown as Stream<never>);
    return {
      close: () => {
        stream.close();
        this.#streams.delete(stream as unknown as Stream<never>);
      },
    };
  }

  /** Ends all connections; what still waits rejects with `closed`. The session lives on at the server. */
  close(): void {
    this.#socket.close();
    for (const stream of this.#streams) stream.close();
    this.#rest.close();
    this.session.close();
    this.#identity.close();
  }
}

function socketUrl(origin: string, port: number): string {
  const url = new URL("/ws", origin);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.port = String(port);
  return url.href;
}

const NoWebSocket = class {
  constructor() {
    throw new TypeError('there is no WebSocket here: new Tradepost({ WebSocket }), with that of the package "ws"');
  }
} as unknown as WebSocketConstructor;
