/** What a blank line ends. */
export interface Block {
  /** null: it had none. */
  id: string | null;
  type: string;
  /** "": only a comment, or an id. */
  data: string;
}

/** Reads the text of an event stream (HTML Living Standard, 9.2.6), however it is cut. */
export class SseParser {
  readonly #block: (block: Block) => void;
  readonly #retry: (ms: number) => void;
  #text = "";
  #id: string | null = null;
  #type = "";
  #data: string[] = [];

  constructor(block: (block: Block) => void, retry: (ms: number) => void) {
    this.#block = block;
    this.#retry = retry;
  }

  push(text: string): void {
    const lines = (this.#text + text).split(/\r\n|\n|\r(?!$)/); // a CR at the end may be half of a CRLF
    this.#text = lines.pop()!;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") return this.#dispatch();
    const [, name, value] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line)!;
    if (name === "data") this.#data.push(value!);
    else if (name === "event") this.#type = value!;
    else if (name === "id" && !value!.includes("\0")) this.#id = value!;
    else if (name === "retry" && /^\d+$/.test(value!)) this.#retry(Number(value));
  }

  #dispatch(): void {
    const block = { id: this.#id, type: this.#type || "message", data: this.#data.join("\n") };
    this.#id = null;
    this.#type = "";
    this.#data = [];
    this.#block(block);
  }
}
