// Finds the word that somebody probably meant. It knows no commands, options or settings.
import { distance } from 'fastest-levenshtein';

/** The candidate most like `word`: one or two typos away, or one is the beginning of the other. Null if there is none. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const typed = word.toLowerCase();
  let best: string | null = null;
  let fewestEdits = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = distance(typed, candidate.toLowerCase());
    if (edits < fewestEdits) [best, fewestEdits] = [candidate, edits];
  }
  if (best !== null && fewestEdits <= Math.max(1, Math.min(2, Math.floor(best.length / 2)))) return best;
  const longestFirst = candidates.toSorted((a, b) => b.length - a.length);
  const begun = candidates.find((each) => typed.length > 1 && each.toLowerCase().startsWith(typed));
  return begun ?? longestFirst.find((each) => typed.startsWith(`${each.toLowerCase()}-`)) ?? null;
}
