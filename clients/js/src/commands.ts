import { throwIfAborted, TradepostError } from "./error.js";
import type { Answer } from "./link.js";

export interface CommandOptions {
  signal?: AbortSignal;
  /** Until the answer, waiting for a connection included. Default 15000. */
  timeoutMs?: number;
}

interface Entry {
  msgId: string;
  /** The message, made when it was asked for: what is no JSON fails then, and later changes do not matter. */
  text: string;
  sent: boolean;
  /** Ends it: with the answer's result or an error. */
  settle(error: unknown, result?: unknown): void;
}

/** What the server lets run at once on a connection, and what we let wait. */
export const FLIGHT_MAX = 32;
export const QUEUE_MAX = 1024;

/** Commands on their way: sent when there is a connection and room, matched with their answers by msgId. */
export class Commands {
  #send: ((text: string) => void) | null = null;
  #ids = 0;
  #queue: Entry[] = [];
  #flight = new Map<string, Entry>();
  /** Our own (authenticate, subscribe): they count for nobody's limit and wait for nothing. */
  readonly #own = new Map<string, Entry>();

  /** Sends as soon as possible. What has been sent when the connection is lost is not sent again: it is `unknown`. */
  run(command: string, request: object, options: CommandOptions = {}): Promise<unknown> {
    if (this.#queue.length >= QUEUE_MAX)
      return Promise.reject(new TradepostError({ code: "queue_full", detail: "too many commands wait", temporary: true }));
    return this.#make(command, request, options, (entry) => {
      this.#queue.push(entry);
      this.#pump();
    });
  }

  /** Sends right now, on a connection that is not attached yet. */
  ask(send: (text: string) => void, command: string, request: object, timeoutMs: number): Promise<unknown> {
    return this.#make(command, request, { timeoutMs }, (entry) => {
      this.#own.set(entry.msgId, entry);
      entry.sent = true;
      send(entry.text);
    });
  }

  answer(answer: Answer): void {
    const entry = this.#flight.get(answer.msgId ?? "") ?? this.#own.get(answer.msgId ?? "");
    if (answer.ok) entry?.settle(null, answer.result);
    else entry?.settle(answerError(answer));
  }

  /** From now on commands can be sent. */
  attach(send: (text: string) => void): void {
    this.#send = send;
    this.#pump();
  }

  /** The connection is lost; what has not been sent waits for the next. */
  detach(): void {
    this.#send = null;
    const lost = new TradepostError({ code: "connection_lost", temporary: true, unknown: true });
    for (const entry of [...this.#flight.values(), ...this.#own.values()]) entry.settle(lost);
  }

  close(why: TradepostError): void {
    this.detach();
    for (const entry of [...this.#queue]) entry.settle(why);
  }

  #make(command: string, request: object, options: CommandOptions, start: (entry: Entry) => void): Promise<unknown> {
    const { signal, timeoutMs = 15000 } = options;
    return new Promise((resolve, reject) => {
      throwIfAborted(signal);
      const msgId = String(++this.#ids);
      const text = JSON.stringify({ ...request, command, msgId });
      const abort = () => entry.settle(signal!.reason);
      const timer = setTimeout(() => entry.settle(timeoutError(timeoutMs, entry.sent)), timeoutMs);
      const entry: Entry = {
        msgId,
        text,
        sent: false,
        settle: (error, result) => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", abort);
          this.#forget(entry);
          if (error === null) resolve(result);
          else reject(error);
        },
      };
      signal?.addEventListener("abort", abort, { once: true });
      start(entry);
    });
  }

  #forget(entry: Entry): void {
    this.#own.delete(entry.msgId);
    if (!this.#flight.delete(entry.msgId)) this.#queue = this.#queue.filter((other) => other !== entry);
    this.#pump();
  }

  #pump(): void {
    while (this.#send && this.#flight.size < FLIGHT_MAX) {
      const entry = this.#queue.shift();
      if (!entry) return;
      this.#flight.set(entry.msgId, entry);
      entry.sent = true;
      this.#send(entry.text);
    }
  }
}

/** The outcome is known only where the word says so: what may pass may have been done. */
const UNDONE = new Set(["resource_exhausted", "too_many_commands", "rate_limited", "conflict", "duplicate_msg_id"]);
const UNCLEAR = new Set(["unknown", "internal", "data_loss"]);

function answerError({ error }: Answer): TradepostError {
  const { code = "unknown", message = "", temporary = false, retryAfterMs, errors } = error ?? {};
  const unknown = (temporary && !UNDONE.has(code)) || UNCLEAR.has(code);
  return new TradepostError({ code, detail: message, temporary, unknown, retryAfterMs, errors });
}

function timeoutError(ms: number, unknown: boolean): TradepostError {
  return new TradepostError({ code: "timeout", detail: `no answer within ${ms} ms`, temporary: true, unknown });
}
