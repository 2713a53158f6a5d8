import type { Emitter } from "./emitter.js";
import type { TradepostError } from "./error.js";
import type { User } from "./generated/contract.js";

/** A request as it is sent, for who signs it. */
export interface Unsigned {
  verb: string;
  path: string;
  /** Without the question mark. */
  query: string;
  body: string;
}

export type IdentityEvents = {
  /** Connections should authenticate again. */
  token: string;
  /** Somebody has logged in. */
  signedIn: User | null;
  /** The session has ended; `null` when by signOut(). */
  signedOut: TradepostError | null;
};

/** Who we are: a Session, or an ApiKey. */
export interface Identity extends Emitter<IdentityEvents> {
  /** What stands for us right now; null: we are guests. Throws when it cannot be known now. */
  token(): Promise<string | null>;
  /** What authorizes this very request. */
  headers(token: string | null, request: Unsigned): Promise<Record<string, string>>;
  /** What the command `authenticate` takes. */
  credentials(token: string): Promise<object>;
  /** The token was refused (401). false: it is of no use to try again with another. */
  recover(token: string, why?: TradepostError): Promise<boolean>;
  /** Does nothing more by itself. */
  close(): void;
}
