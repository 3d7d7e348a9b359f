/**
 * A stream of numbers in [0, 1) that depends on nothing but `text`. Streams are named (seed, key, how many times) rather
 * than drawn from one, because the order in which requests arrive is never the same twice.
 */
export function randomFrom(text: string): () => number {
  // FNV-1a to spread the text over 32 bits, mulberry32 to go on from there.
  let state = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) state = Math.imul(state ^ text.charCodeAt(n), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
