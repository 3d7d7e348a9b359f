/** A refusal of the admin listener, or no answer. The message is for the user. */
export class Refused extends Error {
  /**
   * @param {number} status 0 where no answer came
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// The slowest list is given up by the server after five seconds. What changes something, a backup for example, may take its time.
const LONGEST_LOOK_MS = 10_000;

/**
 * Sends a request to the admin listener. Throws `Refused`.
 *
 * @param {string} path
 * @param {unknown} [body] makes it a POST
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  const looks = body === undefined;
  /** @type {Response} */
  let response;
  /** @type {string} */
  let text;
  try {
    response = await fetch(path, looks ? { signal: AbortSignal.timeout(LONGEST_LOOK_MS) } : { method: "POST", body: JSON.stringify(body) });
    text = await response.text();
  } catch (error) {
    const isLate = /** @type {Error} */ (error).name === "TimeoutError";
    throw new Refused(0, isLate ? `no answer within ${LONGEST_LOOK_MS / 1_000} s` : "no answer: the process is not there");
  }
  const json = parsed(text);
  if (!response.ok) throw new Refused(response.status, json.error?.message ?? `HTTP ${response.status}`);
  return json;
}

/** @param {string} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
