// How often a test repeats something: a sample in every run, and the full count in `pnpm test:long`.
import { inject } from 'vitest';

declare module 'vitest' {
  export interface ProvidedContext {
    isLongRun: boolean;
  }
}

export const amountOf = ({ sample, long }: { sample: number; long: number }): number =>
  inject('isLongRun') ? long : sample;
