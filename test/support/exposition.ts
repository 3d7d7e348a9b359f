/** What `/metrics` has, read from its text. */
export class Exposition {
  /** The values of each label by the name of the label, by the name of the series. */
  readonly labels = new Map<string, Map<string, Set<string>>>();
  /** Of the families, without `_bucket`, `_sum` and `_count`. */
  readonly types = new Map<string, string>();
  readonly #values = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const [, family, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
      if (family !== undefined && type !== undefined) this.types.set(family, type);
      const [, name, labels = "", value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined) continue;
      this.#values.set(line.slice(0, line.lastIndexOf(" ")), Number(value));
      const known = this.labels.get(name) ?? new Map<string, Set<string>>();
      this.labels.set(name, known);
      for (const [, label = "", of = ""] of labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
        known.set(label, (known.get(label) ?? new Set()).add(of));
      }
    }
  }

  /** By its name with its labels as the text has them; undefined where there is no such series. */
  value(series: string): number | undefined {
    return this.#values.get(series);
  }

  get series(): readonly string[] {
    return [...this.#values.keys()];
  }

  /** Names of the families that are not Node's own. */
  get own(): readonly string[] {
    return [...this.types.keys()].filter((name) => !/^(process|nodejs)_/.test(name));
  }
}
