import { createHmac, type KeyObject } from "node:crypto";

export interface SignatureHeaders {
  readonly "webhook-id": string;
  readonly "webhook-timestamp": string;
  readonly "webhook-signature": string;
}

/** Signs one try: one signature a secret. `nowMs`: the wall clock of the try, because receivers refuse old timestamps. */
export function signatureHeaders(id: string, body: Uint8Array, secrets: readonly KeyObject[], nowMs: number): SignatureHeaders {
  const timestamp = String(Math.floor(nowMs / 1000));
  const signatures = secrets.map((secret) => {
    const digest = createHmac("sha256", secret).update(`${id}.${timestamp}.`).update(body).digest("base64");
    return `v1,${digest}`;
  });
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}
