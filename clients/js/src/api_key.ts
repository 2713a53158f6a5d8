import { Emitter } from "./emitter.js";
import type { TradepostError } from "./error.js";
import type { Identity, IdentityEvents, Unsigned } from "./identity.js";

const AGAIN_MS = 12 * 60 * 1000; // a connection is believed for 15 minutes
const RECV_WINDOW_MS = "5000";

export interface ApiKeyOptions {
  /** The key's id. */
  id: string;
  /** Of a key of the kind HMAC_SHA256: the secret that came with it. */
  secret?: string;
  /** Of a key of the kind ED25519: its private half, PKCS #8 in PEM, as `openssl genpkey -algorithm ed25519` writes it. */
  privateKey?: string;
  /** Milliseconds since 1970; for tests. */
  now?: () => number;
}

/** A bot: every request is signed, none expires. `new Tradepost({ apiKey: new ApiKey({ id, secret }) })` */
export class ApiKey extends Emitter<IdentityEvents> implements Identity {
  readonly #id: string;
  readonly #now: () => number;
  readonly #sign: Promise<(text: string) => Promise<string>>;
  #aheadMs = 0; // the server's clock, of ours
  #last = 0; // timestamp: the same is not signed twice, or it would be taken for a replay
  #refused = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ id, secret, privateKey, now = Date.now }: ApiKeyOptions) {
    super();
    if ((secret === undefined) === (privateKey === undefined)) throw new TypeError("an ApiKey has a secret or a privateKey");
    this.#id = id;
    this.#now = now;
    this.#sign = secret === undefined ? ed25519(privateKey!) : hmac(secret);
    this.#sign.catch(() => {}); // told to who signs
  }

  async token(): Promise<string | null> {
    return this.#refused ? null : this.#id;
  }

  async headers(_: string | null, request: Unsigned): Promise<Record<string, string>> {
    const [timestamp, signature] = await this.#signed(request);
    return { "X-API-KEY": this.#id, "X-API-TIMESTAMP": timestamp, "X-API-SIGNATURE": signature };
  }

  async credentials(): Promise<object> {
    const [timestamp, signature] = await this.#signed({ verb: "AUTHENTICATE", path: "/ws", query: "", body: "" });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.emit("token", this.#id), AGAIN_MS);
    (this.#timer as { unref?: () => void }).unref?.();
    return { apiKey: this.#id, timestamp, signature };
  }

  /** With the server's clock, or another timestamp, it may be taken; otherwise the key is of no use any more. */
  async recover(_: string, why?: TradepostError): Promise<boolean> {
    if (why?.code === "timestamp_out_of_window" && why.serverTimeMs) this.#aheadMs = why.serverTimeMs - this.#now();
    if (why?.code === "timestamp_out_of_window" || why?.code === "replayed") return true;
    this.#refused = true;
    this.emit("signedOut", why ?? null);
    return false;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #signed({ verb, path, query, body }: Unsigned): Promise<[timestamp: string, signature: string]> {
    this.#last = Math.max(this.#now() + this.#aheadMs, this.#last + 1);
    const timestamp = String(this.#last);
    const lines = [verb, path, query, this.#id, timestamp, RECV_WINDOW_MS, hex(await sha256(body))];
    return [timestamp, await (await this.#sign)(lines.join("\n"))];
  }
}

const utf8 = new TextEncoder();

/** Node.js 18 keeps it in a module. */
async function subtle(): Promise<SubtleCrypto> {
  const module = "node:crypto";
  return (globalThis.crypto ?? (await import(/* @vite-ignore */ module)).webcrypto).subtle;
}

async function sha256(text: string): Promise<ArrayBuffer> {
  return (await subtle()).digest("SHA-256", utf8.encode(text));
}

async function hmac(secret: string) {
  const crypto = await subtle();
  const key = await crypto.importKey("raw", utf8.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return async (text: string) => hex(await crypto.sign("HMAC", key, utf8.encode(text)));
}

async function ed25519(pem: string) {
  const crypto = await subtle();
  const der = Uint8Array.from(atob(pem.replace(/-----[^-]*-----|\s/g, "")), (c) => c.charCodeAt(0));
  const key = await crypto.importKey("pkcs8", der, "Ed25519", false, ["sign"]);
  return async (text: string) => btoa(String.fromCharCode(...new Uint8Array(await crypto.sign("Ed25519", key, utf8.encode(text)))));
}

function hex(bytes: ArrayBuffer): string {
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
