import { Backoff, type BackoffOptions, wait } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { TradepostError } from "./error.js";
import type { LoginRequest, Tokens, User } from "./generated/contract.js";
import { exchange, type Fetch, type HttpAnswer } from "./http.js";
import type { Identity, IdentityEvents } from "./identity.js";

const REFRESH_COOKIE = "tp_refresh";
const EARLY_MS = 60000; // before the token's end, at most; or a fifth of its life
const TIMEOUT_MS = 15000;
const TRIES = 6;
const TIMER_MAX_MS = 2 ** 31 - 1; // setTimeout takes no more

export interface SessionOptions {
  /** An access token from elsewhere. Without a refresh token it ends when it ends. */
  accessToken?: string;
  /** Where there are no cookies (Node.js): a refresh token that was kept. */
  refreshToken?: string;
  /**
   * In a browser: carry the access token in a cookie too, so that EventSource and links can use it. Then requests
   * are authorized by the cookie and the CSRF header. The page and the API must share the host.
   */
  cookies?: boolean;
}

/** Somebody who has logged in: the access token, refreshed before it ends, by one request at a time. */
export class Session extends Emitter<IdentityEvents> implements Identity {
  readonly #origin: string;
  readonly #fetch: Fetch;
  readonly #backoff: BackoffOptions;
  readonly #cookies: boolean;
  #accessToken: string | null = null;
  #refreshToken: string | null = null; // in a browser it is in a cookie that we cannot read
  #hasCookie = false;
  #refreshAt = Infinity;
  #endsAt = Infinity;
  #refreshing: Promise<string | null> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  #era = 0; // counts logins and ends: what a refresh of before brings is of no interest
  /** Of the last login or refresh. */
  user: User | null = null;

  constructor(origin: string, fetch: Fetch, options: SessionOptions, backoff: BackoffOptions) {
    super();
    this.#origin = origin;
    this.#fetch = fetch;
    this.#backoff = backoff;
    this.#cookies = (options.cookies ?? false) && typeof document !== "undefined";
    this.#refreshToken = options.refreshToken ?? null;
    this.#accessToken = options.accessToken ?? null;
    if (this.#accessToken) this.#setEnd(remainingMs(this.#accessToken));
  }

  /** Somebody is logged in, or could be by the refresh token. */
  get signedIn(): boolean {
    return this.#accessToken !== null || this.#canRefresh;
  }

  /** Outside of browsers: what a later `refreshToken` option takes. It changes with every refresh. */
  get refreshToken(): string | null {
    return this.#refreshToken;
  }

  get #canRefresh(): boolean {
    return this.#refreshToken !== null || this.#hasCookie;
  }

  /** Logs in. */
  async signIn(credentials: LoginRequest, signal?: AbortSignal): Promise<User | null> {
    const answer = await this.#post("login", JSON.stringify(credentials), signal);
    this.#era++;
    this.#refreshing = null;
    this.#take(answer);
    this.emit("signedIn", this.user);
    return this.user;
  }

  /** After a reload of the page: goes on with the session that the cookie stands for; null: there is none. */
  async resume(): Promise<User | null> {
    if (!this.#accessToken) {
      this.#hasCookie = typeof document !== "undefined";
      if (!(await this.refresh(null))) return null;
      this.emit("signedIn", this.user);
    }
    return this.user;
  }

  /** Ends the session, here and at the server. */
  async signOut(): Promise<void> {
    try {
      const token = await this.token();
      if (token) await this.#post("logout", this.#refreshBody(), undefined, await this.headers(token));
    } finally {
      this.#end(null);
    }
  }

  /** An access token that still lives for a while; null: for guests. */
  async token(): Promise<string | null> {
    if (!this.#canRefresh || (this.#accessToken && Date.now() < this.#refreshAt)) return this.#accessToken;
    try {
      return await this.refresh(this.#accessToken);
    } catch (error) {
      if (this.#accessToken && Date.now() < this.#endsAt) return this.#accessToken;
      throw error;
    }
  }

  async headers(token: string | null): Promise<Record<string, string>> {
    if (!token) return {};
    const csrf = this.#cookies ? readCookie("tp_csrf") : null;
    return csrf ? { "X-CSRF-Token": csrf } : { Authorization: `Bearer ${token}` };
  }

  async credentials(token: string): Promise<object> {
    return { token };
  }

  async recover(token: string): Promise<boolean> {
    return (await this.refresh(token)) !== null;
  }

  /**
   * Gets another token than the stale one: whoever asks while one is being fetched, gets that. null: the session has
   * ended. Throws when it cannot be known now.
   */
  refresh(stale: string | null): Promise<string | null> {
    if (this.#accessToken !== stale && this.#accessToken) return Promise.resolve(this.#accessToken);
    if (!this.#canRefresh) {
      if (stale) this.#end(new TradepostError({ code: "unauthenticated", status: 401, detail: "the token has ended" }));
      return Promise.resolve(null);
    }
    if (this.#refreshing) return this.#refreshing;
    const era = this.#era;
    const refreshing = alone(() => this.#refresh(era)).finally(() => {
      if (this.#refreshing === refreshing) this.#refreshing = null;
    });
    return (this.#refreshing = refreshing);
  }

  /** Stops refreshing by itself. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #refresh(era: number): Promise<string | null> {
    const backoff = new Backoff(this.#backoff);
    for (let left = TRIES; era === this.#era; left--) {
      try {
        const answer = await this.#post("refresh", this.#refreshBody());
        if (era === this.#era) this.#take(answer);
      } catch (error) {
        if (era !== this.#era) break;
        if (!(error instanceof TradepostError) || !error.temporary || left === 1) {
          if (error instanceof TradepostError && (error.status === 400 || error.status === 401)) {
            this.#end(error);
            return null;
          }
          throw error;
        }
        await wait(Math.max(error.retryAfterMs ?? 0, backoff.next()));
        continue;
      }
      break;
    }
    return this.#accessToken; // or what another login has brought meanwhile
  }

  #refreshBody(): string {
    return JSON.stringify(this.#refreshToken ? { refreshToken: this.#refreshToken } : {});
  }

  #post(what: string, body: string, signal?: AbortSignal, headers: Record<string, string> = {}): Promise<HttpAnswer> {
    const url = `${this.#origin}/api/v1/auth/${what}`;
    return exchange(this.#fetch, { verb: "POST", url, headers, body, signal, timeoutMs: TIMEOUT_MS });
  }

  #take(answer: HttpAnswer): void {
    const tokens = answer.body as Tokens;
    this.#accessToken = tokens.accessToken;
    this.#hasCookie = typeof document !== "undefined";
    this.#refreshToken = tokens.refreshToken || setCookie(answer.headers) || null;
    this.user = tokens.user;
    this.#setEnd(tokens.expiresIn * 1000);
    if (this.#cookies) this.#writeCookies(tokens.expiresIn);
    this.emit("token", tokens.accessToken);
  }

  #setEnd(lifeMs: number): void {
    const now = Date.now();
    this.#endsAt = now + lifeMs;
    this.#refreshAt = this.#endsAt - Math.min(EARLY_MS, lifeMs / 5);
    clearTimeout(this.#timer);
    if (this.#closed || !this.#canRefresh || this.#refreshAt - now > TIMER_MAX_MS) return;
    this.#timer = setTimeout(() => this.refresh(this.#accessToken).catch(() => {}), Math.max(this.#refreshAt - now, 0));
    (this.#timer as { unref?: () => void }).unref?.(); // it keeps no process alive
  }

  #end(why: TradepostError | null): void {
    clearTimeout(this.#timer);
    this.#era++;
    this.#refreshing = null;
    const was = this.#accessToken !== null || this.#refreshToken !== null; // or only a cookie was hoped for
    this.#accessToken = this.#refreshToken = this.user = null;
    this.#hasCookie = false;
    if (this.#cookies) this.#writeCookies(0);
    if (was) this.emit("signedOut", why);
  }

  #writeCookies(seconds: number): void {
    const secure = location.protocol === "https:" ? "; Secure" : "";
    const more = `; Path=/; Max-Age=${seconds}; SameSite=Strict${secure}`;
    const random = [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(36)).join("");
    document.cookie = `tp_access=${this.#accessToken ?? ""}${more}`;
    document.cookie = `tp_csrf=${random}${more}`;
  }
}

/** One tab at a time: a refresh token that is used twice ends its session. */
function alone<T>(run: () => Promise<T>): Promise<T> {
  const locks = typeof document === "undefined" ? undefined : globalThis.navigator.locks;
  return locks ? (locks.request("tradepost.refresh", run) as Promise<T>) : run();
}

function readCookie(name: string): string | null {
  const found = document.cookie.split("; ").find((cookie) => cookie.startsWith(name + "="));
  return found?.slice(name.length + 1) || null;
}

/** Node.js shows what browsers hide. */
function setCookie(headers: Headers): string | null {
  const all = headers.getSetCookie?.() ?? [headers.get("Set-Cookie") ?? ""];
  const found = all.map((cookie) => cookie.split(";")[0]!.trim()).find((c) => c.startsWith(REFRESH_COOKIE + "="));
  return found?.slice(REFRESH_COOKIE.length + 1) || null;
}

/** From a JWT's own claim. */
function remainingMs(token: string): number {
  try {
    const claims = JSON.parse(atob(token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")));
    return claims.exp * 1000 - Date.now();
  } catch {
    return Infinity; // the server will say when
  }
}
