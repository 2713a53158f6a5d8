/** A piece of an answer that was too large for one message. */
export interface Part {
  msgId: string;
  part: number;
  parts: number;
  data: string;
}

const SIZE_MAX = 64 * 1024 * 1024; // characters of an answer; the server stops before

/** Puts answers together. Parts of one answer come in order; those of several may come mixed. */
export class Parts {
  readonly #pieces = new Map<string, { texts: string[]; size: number }>();

  /** The whole text with its last part, else null. Throws when the parts make no sense. */
  add({ msgId, part, parts, data }: Part): string | null {
    const so = this.#pieces.get(msgId) ?? { texts: [], size: 0 };
    so.size += data.length;
    if (part !== so.texts.length + 1 || part > parts || so.size > SIZE_MAX) throw new RangeError("bad parts");
    so.texts.push(data);
    if (part < parts) {
      this.#pieces.set(msgId, so);
      return null;
    }
    this.#pieces.delete(msgId);
    return so.texts.join("");
  }
}
