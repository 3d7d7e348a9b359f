/** Where the real providers are. A step without a URL is simulated. May carry a path and end in a slash. */
export interface ProviderUrls {
  readonly payment?: string | undefined;
  readonly vendor?: string | undefined;
  readonly courier?: string | undefined;
}
