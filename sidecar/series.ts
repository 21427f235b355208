// Counters and histograms for the request path, written as Prometheus text (exposition format 0.0.4). prom-client hashes
// the labels anew on every observation; a series here is found once and then added to. Why: docs/decisions/0004.

export type Labels = Readonly<Record<string, string>>;

/** One series of a counter. */
export interface Count {
  readonly labels: Labels;
  value: number;
}

/** One series of a histogram. */
export interface Spread {
  readonly labels: Labels;
  /** Observations per bucket, not cumulated; the last is for all above the highest bound. */
  readonly buckets: Float64Array;
  sum: number;
}

export class CountMetric {
  readonly #name: string;
  readonly #help: string;
  readonly #type: "counter" | "gauge";
  #series: Count[] = [];

  constructor(name: string, help: string, type: "counter" | "gauge" = "counter") {
    this.#name = name;
    this.#help = help;
    this.#type = type;
  }

  series(labels: Labels): Count {
    const made = { labels, value: 0 };
    this.#series.push(made);
    return made;
  }

  /** Takes series out again: those of something that is gone. */
  drop(gone: readonly Count[]): void {
    this.#series = this.#series.filter((each) => !gone.includes(each));
  }

  text(): string {
    const lines = this.#series.map(({ labels, value }) => `${this.#name}${labelText(labels)} ${value}`);
    return block(this.#name, this.#help, this.#type, lines);
  }
}

export class SpreadMetric {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #series: Spread[] = [];

  /** `bounds` ascending; a value equal to a bound counts into its bucket. */
  constructor(name: string, help: string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
  }

  series(labels: Labels): Spread {
    const made = { labels, buckets: new Float64Array(this.#bounds.length + 1), sum: 0 };
    this.#series.push(made);
    return made;
  }

  add(spread: Spread, value: number): void {
    let index = 0;
    while (index < this.#bounds.length && value > (this.#bounds[index] ?? 0)) index++;
    spread.buckets[index] = (spread.buckets[index] ?? 0) + 1;
    spread.sum += value;
  }

  text(): string {
    return block(
      this.#name,
      this.#help,
      "histogram",
      this.#series.flatMap((spread) => this.#lines(spread)),
    );
  }

  #lines({ labels, buckets, sum }: Spread): string[] {
    const lines: string[] = [];
    let total = 0;
    for (const [index, count] of buckets.entries()) {
      total += count;
      const le = String(this.#bounds[index] ?? "+Inf");
      lines.push(`${this.#name}_bucket${labelText({ ...labels, le })} ${total}`);
    }
    lines.push(`${this.#name}_sum${labelText(labels)} ${sum}`, `${this.#name}_count${labelText(labels)} ${total}`);
    return lines;
  }
}

function block(name: string, help: string, type: string, lines: readonly string[]): string {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
