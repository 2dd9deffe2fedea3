// Finds the word that somebody probably meant. It knows no commands and no options.

/** The candidate most like `word`: a slip of a key or two, or one that begins the other. Null when none is. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const typed = word.toLowerCase();
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = distanceBetween(typed, candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  if (best !== null && bestDistance <= Math.max(1, Math.min(2, Math.floor(best.length / 2)))) return best;
  const longestFirst = candidates.toSorted((a, b) => b.length - a.length);
  const begun = candidates.find((each) => typed.length > 1 && each.toLowerCase().startsWith(typed));
  return begun ?? longestFirst.find((each) => typed.startsWith(`${each.toLowerCase()}-`)) ?? null;
}

/** Characters to add, drop or change to make one word of the other (Levenshtein). */
function distanceBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const changed = (row[j] ?? 0) + (letter === b[j] ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
