import { Backoff, type BackoffOptions, wait } from "./backoff.js";
import { closedError, throwIfAborted, TradepostError } from "./error.js";
import type { Endpoints } from "./generated/contract.js";
import { routes } from "./generated/routes.js";
import { exchange, type Fetch, follow } from "./http.js";
import type { Identity } from "./identity.js";

type Routes = typeof routes;
/** A method: by its name (`orders.place`), or by its endpoint (`GET /health`). */
export type Method = keyof Routes | keyof Endpoints;
type EndpointOf<M extends Method> = M extends keyof Routes ? Routes[M] : M extends keyof Endpoints ? M : never;
export type RequestOf<M extends Method> = Endpoints[EndpointOf<M>]["request"];
export type ResponseOf<M extends Method> = Endpoints[EndpointOf<M>]["response"];

export interface CallOptions {
  /** Of a mutation; otherwise one is made. The same key again, later, does not do it twice. */
  idempotencyKey?: string;
  signal?: AbortSignal;
  /** For one try. Default 15000. */
  timeoutMs?: number;
  /** As long as failures that may pass are tried again. Default 30000; 0: one try. */
  retryForMs?: number;
}

/** The request may be left out where nothing in it is required. */
export type Arguments<Request> =
  {} extends Request ? [request?: Request, options?: CallOptions] : [request: Request, options?: CallOptions];

interface Plan {
  verb: string;
  path: string;
  query: string;
  body: string | undefined;
}

/** Calls over HTTP, tried again where that is safe: reads, and mutations by their Idempotency-Key. */
export class Rest {
  readonly #origin: string;
  readonly #fetch: Fetch;
  readonly #identity: Identity;
  readonly #backoff: BackoffOptions;
  readonly #closing = new AbortController();

  constructor(origin: string, fetch: Fetch, identity: Identity, backoff: BackoffOptions) {
    this.#origin = origin;
    this.#fetch = fetch;
    this.#identity = identity;
    this.#backoff = backoff;
  }

  /** Throws TradepostError; `unknown` says that it may have been done all the same. */
  async call<M extends Method>(method: M, ...[request, options = {}]: Arguments<RequestOf<M>>): Promise<ResponseOf<M>> {
    const plan = planOf(endpointOf(method), request ?? {});
    const { controller, release } = follow(options.signal, this.#closing.signal);
    try {
      return (await this.#run(plan, { ...options, signal: controller.signal })) as ResponseOf<M>;
    } finally {
      release();
    }
  }

  /** What still runs is given up. */
  close(): void {
    this.#closing.abort(closedError());
  }

  async #run(plan: Plan, options: CallOptions): Promise<unknown> {
    const open = plan.path.startsWith("/api/v1/auth/"); // keys belong to users; there is none yet
    const key = plan.verb === "GET" || open ? undefined : (options.idempotencyKey ?? newKey());
    const repeatable = plan.verb === "GET" || key !== undefined;
    const end = Date.now() + (options.retryForMs ?? 30000);
    const backoff = new Backoff(this.#backoff);
    let unknown = false;
    let recovered = false;
    for (let tried = false; ; ) {
      const token = await this.#identity.token();
      if (!tried) throwIfAborted(options.signal); // nothing was sent
      tried = true;
      try {
        return await this.#attempt(plan, key, token, options);
      } catch (error) {
        if (options.signal?.aborted) throw plan.verb === "GET" ? error : abortedError(error);
        if (!(error instanceof TradepostError)) throw error;
        unknown ||= error.unknown && plan.verb !== "GET";
        if (error.status === 401 && token && !recovered && (await this.#identity.recover(token, error))) {
          recovered = true;
          continue;
        }
        const delay = Math.max(error.retryAfterMs ?? 0, backoff.next());
        if (!repeatable || !error.temporary || Date.now() + delay > end)
          throw unknown && !isDecided(error) ? error.asUnknown() : error;
        await wait(delay, options.signal).catch((reason) => {
          throw unknown ? abortedError(reason) : reason;
        });
      }
    }
  }

  async #attempt(plan: Plan, key: string | undefined, token: string | null, options: CallOptions): Promise<unknown> {
    const { verb, path, query, body } = plan;
    const headers = await this.#identity.headers(token, { verb, path, query, body: body ?? "" });
    if (key !== undefined) headers["Idempotency-Key"] = key;
    const timeoutMs = options.timeoutMs ?? 15000;
    const url = this.#origin + path + (query && `?${query}`);
    return (await exchange(this.#fetch, { verb, url, headers, body, signal: options.signal, timeoutMs })).body;
  }
}

/** Its sender gave up while it was on its way. */
function abortedError(cause: unknown): TradepostError {
  return new TradepostError({ code: "aborted", detail: "given up before the answer came", unknown: true, cause });
}

/** Refused for what the request says, or for what an earlier try of it has done. */
function isDecided(error: TradepostError): boolean {
  return error.status >= 400 && error.status < 500 && !error.temporary && error.status !== 401 && error.status !== 403;
}

function endpointOf(method: string): string {
  return (routes as Record<string, string>)[method] ?? method;
}

/** What is not in the path is in the body, or, for GET and DELETE, in the query. */
export function planOf(endpoint: string, request: object): Plan {
  const [verb, template] = endpoint.split(" ") as [string, string];
  const rest: Record<string, unknown> = { ...request };
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest[name];
    if (value === undefined || value === "") throw new TypeError(`${endpoint} needs ${name}`);
    delete rest[name];
    return encodeURIComponent(String(value));
  });
  if (verb !== "GET" && verb !== "DELETE") return { verb, path, query: "", body: JSON.stringify(rest) };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) query.set(name, String(value));
  return { verb, path, query: String(query), body: undefined };
}

/** Unique, not secret: Node.js 18 and pages without TLS have no randomUUID. */
export function newKey(): string {
  const part = () => Math.random().toString(36).slice(2, 12).padEnd(10, "0");
  return globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${part()}-${part()}`;
}
