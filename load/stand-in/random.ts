/**
 * A stream of numbers in [0, 1) that depends on nothing but the seed (mulberry32). Where requests draw numbers, each has a stream of its own,
 * named by a text (seed, key, how many times): the order in which requests arrive is never the same twice.
 */
export function randomFrom(seed: number | string): () => number {
  let state = typeof seed === "number" ? seed | 0 : hashOf(seed);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** FNV-1a: spreads the text over 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  return hash;
}
