/** An item's place in a `LinkedList`. An item that may be in several lists has a link for each. */
export class Link<T> {
  readonly item: T;
  before: Link<T> | undefined;
  after: Link<T> | undefined;
  isLinked = false;

  constructor(item: T) {
    this.item = item;
  }
}

/** Items in the order in which they were added. Any of them can be taken out, at the same small cost however many there are. */
export class LinkedList<T> {
  first: Link<T> | undefined;
  #last: Link<T> | undefined;

  /** Puts an item behind all others, also one that is in the list already. */
  add(link: Link<T>): void {
    this.remove(link);
    link.before = this.#last;
    if (this.#last === undefined) this.first = link;
    else this.#last.after = link;
    this.#last = link;
    link.isLinked = true;
  }

  /** Does nothing where the item is not in the list. */
  remove(link: Link<T>): void {
    if (!link.isLinked) return;
    const { before, after } = link;
    if (before === undefined) this.first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    link.before = undefined;
    link.after = undefined;
    link.isLinked = false;
  }
}
