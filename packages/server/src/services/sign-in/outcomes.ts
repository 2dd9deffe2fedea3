// How many attempts this process has seen, by purpose and outcome: counts for the metrics, which decide nothing.

/** `busy`: turned away because too many were being checked. `unavailable`: the database could not be reached. */
const attemptOutcomes = ['right', 'wrong', 'throttled', 'busy', 'unavailable'] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];
const attemptPurposes = ['login', 'step-up'] as const;
export type AttemptPurpose = (typeof attemptPurposes)[number];

export type OutcomeFigures = { purpose: AttemptPurpose; outcome: AttemptOutcome; count: number }[];

export interface Outcomes {
  count(purpose: AttemptPurpose, outcome: AttemptOutcome): void;
  /** All combinations, including those that never happened. */
  figures(): OutcomeFigures;
}

export function createOutcomes(): Outcomes {
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
