import { problemError, throwIfAborted, TradepostError } from "./error.js";

export type Fetch = typeof globalThis.fetch;

export interface HttpRequest {
  verb: string;
  url: string;
  headers?: Record<string, string>;
  body?: string | undefined;
  signal?: AbortSignal | undefined;
  timeoutMs: number;
}

export interface HttpAnswer {
  status: number;
  headers: Headers;
  body: unknown;
}

/**
 * One request, one answer. Throws TradepostError: `network` and `timeout` when there is no whole answer, otherwise
 * what the problem document says; or the reason of the signal.
 */
export async function exchange(fetch: Fetch, request: HttpRequest): Promise<HttpAnswer> {
  throwIfAborted(request.signal);
  const { controller, release } = follow(request.signal);
  const timer = setTimeout(() => controller.abort(timeoutError(request.timeoutMs)), request.timeoutMs);
  try {
    const response = await fetch(request.url, {
      method: request.verb,
      headers: { ...(request.body === undefined ? {} : { "Content-Type": "application/json" }), ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
      credentials: "include",
      signal: controller.signal,
    });
    const text = await response.text();
    if (!response.ok) throw problemError(response.status, parse(text), response.headers);
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined };
  } catch (error) {
    throwIfAborted(request.signal);
    if (controller.signal.aborted) throw controller.signal.reason;
    throw error instanceof TradepostError ? error : networkError(error);
  } finally {
    clearTimeout(timer);
    release();
  }
}

/** A controller that is aborted with any of the signals (AbortSignal.any is not in Node.js 18). */
export function follow(...signals: (AbortSignal | undefined)[]) {
  const controller = new AbortController();
  const releases: (() => void)[] = [];
  for (const signal of signals) {
    if (!signal) continue;
    const stop = () => controller.abort(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    releases.push(() => signal.removeEventListener("abort", stop));
  }
  return { controller, release: () => releases.forEach((release) => release()) };
}

function timeoutError(ms: number): TradepostError {
  return new TradepostError({ code: "timeout", detail: `no answer within ${ms} ms`, temporary: true, unknown: true });
}

function networkError(cause: unknown): TradepostError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new TradepostError({ code: "network", detail, temporary: true, unknown: true, cause });
}

function parse(text: string) {
  try {
    const body = JSON.parse(text);
    return typeof body === "object" ? body : null;
  } catch {
    return null; // a proxy's page
  }
}
