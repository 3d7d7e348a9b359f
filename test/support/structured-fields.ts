/** A member of a List of RFC 9651 with its parameters; strings and integers are all that is read here. */
export interface Member {
  readonly value: string | number;
  readonly parameters: Readonly<Record<string, string | number | true>>;
}

/** Reads a List of Items (RFC 9651, 4.2.1) whose bare items are strings and integers. Throws on anything else. */
export function readList(field: string): Member[] {
  const reader = new Reader(field);
  const members: Member[] = [];
  reader.skip(/ */y);
  while (!reader.atEnd) {
    members.push(readItem(reader));
    reader.skip(/[ \t]*/y);
    if (reader.atEnd) return members;
    reader.take(/,/y);
    reader.skip(/[ \t]*/y);
    if (reader.atEnd) throw new Error(`a comma at the end: ${field}`);
  }
  return members;
}

function readItem(reader: Reader): Member {
  const value = readBareItem(reader);
  const parameters: Record<string, string | number | true> = {};
  while (reader.has(";")) {
    reader.take(/; */y);
    const key = reader.take(/[a-z*][a-z0-9_.*-]*/y);
    parameters[key] = reader.has("=") ? readValue(reader) : true;
  }
  return { value, parameters };
}

function readValue(reader: Reader): string | number {
  reader.take(/=/y);
  return readBareItem(reader);
}

function readBareItem(reader: Reader): string | number {
  if (reader.has('"'))
    return reader
      .take(/"(?:[ !#-[\]-~]|\\["\\])*"/y)
      .slice(1, -1)
      .replace(/\\(.)/g, "$1");
  return Number(reader.take(/-?\d{1,15}(?![\d.])/y));
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  has(character: string): boolean {
    return this.#text[this.#at] === character;
  }

  skip(pattern: RegExp): void {
    this.take(pattern);
  }

  /** `pattern` is sticky. */
  take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.#text) ?? [];
    if (found === undefined) throw new Error(`${pattern} does not match at ${this.#at} of ${JSON.stringify(this.#text)}`);
    this.#at += found.length;
    return found;
  }
}
