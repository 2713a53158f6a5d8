import { throwIfAborted } from "./error.js";

export interface BackoffOptions {
  /** The first wait is at most this; every further one at most twice the one before. Default 500. */
  baseMs?: number;
  /** No wait is longer. Default 30000. */
  capMs?: number;
  /** From 0 to below 1; for tests. */
  random?: () => number;
}

/** Exponential with full jitter: whoever lost the same server does not come back at the same moment. */
export class Backoff {
  baseMs: number;
  readonly #capMs: number;
  readonly #random: () => number;
  #failures = 0;

  constructor({ baseMs = 500, capMs = 30000, random = Math.random }: BackoffOptions = {}) {
    this.baseMs = baseMs;
    this.#capMs = capMs;
    this.#random = random;
  }

  /** How long to wait before the next try. */
  next(): number {
    const most = Math.min(this.#capMs, this.baseMs * 2 ** this.#failures);
    if (most < this.#capMs) this.#failures++;
    return Math.floor(this.#random() * most);
  }

  /** It worked. */
  reset(): void {
    this.#failures = 0;
  }
}

/** Resolves after a time; rejects with the signal's reason. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal);
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
