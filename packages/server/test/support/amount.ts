// How much of the same a test does: a sample in every run, and what takes minutes in `pnpm test:long`.
import { inject } from 'vitest';

declare module 'vitest' {
  export interface ProvidedContext {
    isLongRun: boolean;
  }
}

export const amountOf = ({ sample, long }: { sample: number; long: number }): number =>
  inject('isLongRun') ? long : sample;
