import { z } from "zod";

/** A whole number in this range. */
export function whole(minimum: number, maximum: number): z.ZodType<number> {
  const rule = `must be a whole number from ${minimum} to ${maximum}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, rule)
    .transform(Number)
    .refine((value) => value >= minimum && value <= maximum, rule);
}

/** `off` gives undefined. */
export function unlessOff<T>(rule: z.ZodType<T>): z.ZodType<T | undefined> {
  return z.preprocess((text) => (text === "off" ? undefined : text), rule.optional());
}

const MAX_RATE = 1_000_000;

/** `N` or `N/burst`. Without a burst it is as large as `N`. */
export const rate = z
  .string()
  .transform((text) => {
    const [, perSecond = "0", burst = perSecond] = /^(\d{1,7})(?:\/(\d{1,7}))?$/.exec(text) ?? [];
    return Object.freeze({ perSecond: Number(perSecond), burst: Number(burst) });
  })
  .refine(
    ({ perSecond, burst }) => Math.min(perSecond, burst) >= 1 && Math.max(perSecond, burst) <= MAX_RATE,
    `must be off, N or N/burst, each a whole number from 1 to ${MAX_RATE}`,
  );

/** An address or a host name. */
export const host = z.string().regex(/^[\w.:%-]+$/, "must be a host name or an address");

const HOST_NAME = /^[\w-]+(\.[\w-]+)*$/;
/** In lower case. */
export const hostNames = z
  .string()
  .transform((text) => Object.freeze(text.split(",").map((name) => name.trim().toLowerCase())))
  .refine((names) => names.every((name) => HOST_NAME.test(name)), "must be host names without ports, separated by commas");

// Secrets have files of their own, so no URL has user and password; a provider's path is appended, so a query cannot stay.
export const providerUrl = z
  .string()
  .refine((text) => isHttpUrl(text) && !/[?#]/.test(text), "must be an http or https URL without user, query or fragment");
export const receiverUrl = z.string().refine(isHttpUrl, "must be an http or https URL without user or fragment");

function isHttpUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "" && url.hash === "";
}
