/** One series that a query asks for. */
export interface Selector {
  readonly name: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;
const WORDS = new Set(["and", "or", "unless", "bool", "offset"]);

/** The series that a PromQL query asks for, and the labels it groups by. Knows no more of PromQL than our queries use. */
export function readQuery(query: string): { selectors: Selector[]; groupedBy: string[] } {
  const groupedBy = [...query.matchAll(GROUPING)].flatMap(([, labels = ""]) => labels.split(",").map((label) => label.trim()));
  const rest = query.replace(GROUPING, " ").replace(/\[[^\]]*\]/g, "");
  const selectors = [...rest.matchAll(/([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?/g)]
    .filter(([, name = "", , call]) => call === undefined && !WORDS.has(name))
    .map(([, name = "", matchers = ""]) => ({
      name,
      matchers: [...matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, label = "", operator = "", value = ""]) => ({
        label,
        operator,
        value,
      })),
    }));
  return { selectors, groupedBy };
}
