import type { Problem } from "./generated/contract.js";

/** What went wrong, in one form for REST, WebSocket and streams. */
export interface Failure {
  code: string;
  status?: number | undefined;
  detail?: string | undefined;
  errors?: { field: string; reason: string }[] | undefined;
  requestId?: string | undefined;
  temporary?: boolean;
  unknown?: boolean;
  retryAfterMs?: number | undefined;
  serverTimeMs?: number | undefined;
  cause?: unknown;
}

/** Every failure of this client. Branch on `code`; show `detail`. */
export class TradepostError extends Error {
  override readonly name = "TradepostError";
  /** A stable word: `insufficient_funds`, `rate_limited`; `network`, `timeout`, `connection_lost`, `closed` are ours. */
  readonly code: string;
  /** The HTTP status; 0 where there was no HTTP answer. */
  readonly status: number;
  /** For people. */
  readonly detail: string;
  /** Which fields of the request are wrong, and why. */
  readonly errors: { field: string; reason: string }[];
  /** Finds the line in the gateway's log. */
  readonly requestId: string;
  /** The same may succeed later. */
  readonly temporary: boolean;
  /** It may have been done all the same: no answer came, or one (5xx) that does not say. */
  readonly unknown: boolean;
  /** How long the server asked to wait. */
  readonly retryAfterMs: number | undefined;
  /** The server's clock, where ours was refused. */
  readonly serverTimeMs: number | undefined;

  constructor(failure: Failure) {
    super(failure.detail ? `${failure.code}: ${failure.detail}` : failure.code, { cause: failure.cause });
    this.code = failure.code;
    this.status = failure.status ?? 0;
    this.detail = failure.detail ?? "";
    this.errors = failure.errors ?? [];
    this.requestId = failure.requestId ?? "";
    this.temporary = failure.temporary ?? false;
    this.unknown = failure.unknown ?? false;
    this.retryAfterMs = failure.retryAfterMs;
    this.serverTimeMs = failure.serverTimeMs;
  }

  /** The same error, when an earlier try of the same request may have been the one that did it. */
  asUnknown(): TradepostError {
    return new TradepostError({ ...this, unknown: true, cause: this });
  }
}

/** Undecided refusals: the request was not looked at, or another one with its key still runs. */
const PASSING_STATUS = new Set([408, 425, 429]);
const PASSING_CODE = new Set(["conflict", "idempotency_key_in_use"]);

/** From a problem document (RFC 9457), or from whatever a proxy answered instead. */
export function problemError(status: number, body: Partial<Problem> | null, headers: Headers): TradepostError {
  const code = body?.code ?? `http_${status}`;
  const seconds = Number(headers.get("Retry-After") ?? NaN);
  return new TradepostError({
    code,
    status,
    detail: body?.detail ?? body?.title,
    errors: body?.errors,
    requestId: body?.requestId,
    temporary: (status >= 500 && status !== 501) || PASSING_STATUS.has(status) || PASSING_CODE.has(code),
    unknown: status >= 500 && status !== 501,
    retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined,
    serverTimeMs: Number(headers.get("X-API-TIME")) || undefined,
  });
}

/** The client was closed. */
export const closedError = () => new TradepostError({ code: "closed", detail: "the client was closed" });

/** Who waits no longer gets the reason that was given to abort(). */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw signal.reason;
}
