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

/**
 * Sends a request to the admin listener. Throws `Refused`.
 *
 * @param {string} path
 * @param {unknown} [body] makes it a POST
 * @returns {Promise<any>}
 */
export async function ask(path, body) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, body === undefined ? {} : { method: "POST", body: JSON.stringify(body) });
  } catch {
    throw new Refused(0, "no answer: the process is not there");
  }
  const json = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, json.error?.message ?? `HTTP ${response.status}`);
  return json;
}
