// The texts that were added last, up to a bound. Knows nothing of what they are.

export class Recent {
  readonly #most: number;
  readonly #texts = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  has(text: string): boolean {
    return this.#texts.has(text);
  }

  add(text: string): void {
    this.#texts.add(text);
    if (this.#texts.size <= this.#most) return;
    const [oldest] = this.#texts;
    if (oldest !== undefined) this.#texts.delete(oldest);
  }

  clear(): void {
    this.#texts.clear();
  }
}
