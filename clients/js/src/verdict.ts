/** What a close of the connection asks for. */
export interface Verdict {
  /** Come back. */
  returns: boolean;
  /** But not before this. */
  afterMs: number;
  /** With other credentials. */
  refresh: boolean;
}

export const BAD_CREDENTIALS = 4003;
const FINAL = 4500; // and above
const HINT_MAX_MS = 60000;

/** From the close code, and the hint in the reason: "going away; retry in 1234 ms". */
export function verdictOf(code: number, reason: string): Verdict {
  const hint = /retry in (\d+) ms/.exec(reason);
  return {
    returns: code < FINAL,
    afterMs: hint ? Math.min(Number(hint[1]), HINT_MAX_MS) : 0,
    refresh: code === BAD_CREDENTIALS,
  };
}
