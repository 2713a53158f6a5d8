import { TradepostError } from "./error.js";

/** What shows a change before the server has confirmed it, and takes it back if the server refuses. */
export interface OptimisticHooks<Result, Undo = void> {
  /** Shows it, at once. What it returns is handed to the other two. */
  apply(): Undo;
  /** It was done: replace what was shown with what is true. */
  commit?(result: Result, undo: Undo): void;
  /** It was refused, and has not been done. */
  rollback(error: unknown, undo: Undo): void;
}

/**
 * Applies, runs, then commits or rolls back. An outcome that stays unknown (an error with `unknown`: the server was
 * not reached again in time) is neither: nothing is rolled back that may have been done; the error is thrown.
 */
export async function optimistic<Result, Undo>(
  hooks: OptimisticHooks<Result, Undo>,
  run: () => Promise<Result>,
): Promise<Result> {
  const undo = hooks.apply();
  let result: Result;
  try {
    result = await run();
  } catch (error) {
    if (!(error instanceof TradepostError && error.unknown)) hooks.rollback(error, undo);
    throw error;
  }
  hooks.commit?.(result, undo);
  return result;
}
