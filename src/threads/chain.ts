/** An element of a `Chain`. It belongs to one at most. */
export interface Link<T> {
  previous: T | undefined;
  next: T | undefined;
}

/** A list that is linked through its elements: each can leave from the middle at once, however many there are. */
export class Chain<T extends Link<T>> {
  first: T | undefined;
  last: T | undefined;
  length = 0;

  /** Puts an element, which is in no chain, behind the last one. */
  add(element: T): void {
    element.previous = this.last;
    if (this.last === undefined) this.first = element;
    else this.last.next = element;
    this.last = element;
    this.length++;
  }

  /** To be called once for each `add`. */
  remove(element: T): void {
    const { previous, next } = element;
    if (previous === undefined) this.first = next;
    else previous.next = next;
    if (next === undefined) this.last = previous;
    else next.previous = previous;
    element.previous = undefined;
    element.next = undefined;
    this.length--;
  }
}
