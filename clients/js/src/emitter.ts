/** Listeners by name. One that throws disturbs nobody: its error is reported as an uncaught one. */
export class Emitter<Events extends Record<string, unknown>> {
  readonly #listeners = new Map<keyof Events, Set<(event: never) => void>>();

  /** Calls the listener at every such event. Returns what ends that. */
  on<E extends keyof Events>(name: E, listener: (event: Events[E]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener as (event: never) => void));
    return () => void listeners.delete(listener as (event: never) => void);
  }

  emit<E extends keyof Events>(name: E, event: Events[E]): void {
    for (const listener of this.#listeners.get(name) ?? []) guarded(() => listener(event as never));
  }
}

/** Runs what the application gave us, whose errors are not ours to handle nor to swallow. */
export function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
