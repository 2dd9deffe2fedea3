// How often passwords were tried in this process, and how it went: counts for the metrics, and nothing that decides.

/** `busy`: turned away because too many were being checked; `unavailable`: the database could not be asked. */
export const attemptOutcomes = ['right', 'wrong', 'throttled', 'busy', 'unavailable'] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];
export const attemptPurposes = ['login', 'step-up'] as const;
export type AttemptPurpose = (typeof attemptPurposes)[number];

export interface Attempts {
  count(purpose: AttemptPurpose, outcome: AttemptOutcome): void;
  /** All of them, those that never happened included. */
  figures(): { purpose: AttemptPurpose; outcome: AttemptOutcome; count: number }[];
}

export function createAttempts(): Attempts {
  const counts = attemptPurposes.flatMap((purpose) =>
    attemptOutcomes.map((outcome) => ({ purpose, outcome, count: 0 })),
  );
  return {
    count: (purpose, outcome) => {
      const found = counts.find((each) => each.purpose === purpose && each.outcome === outcome);
      if (found) found.count++;
    },
    figures: () => counts.map((each) => ({ ...each })),
  };
}
