// Reads the configuration as the server does. Commands that need no configuration don't import this file: it loads zod.
import { type Config, ConfigError, loadConfig } from '@backchannel/server/config';
import type { CommandContext } from './context.ts';
import { refusal } from './failure.ts';

type Place = Pick<CommandContext, 'env' | 'root'>;

/** The input of `loadConfig` and of the checks. */
export const placeOf = ({ env, root }: Place) => ({ env, ...(root !== null && { root }) });

/** @throws Failure with exit code 1 that lists every problem, one per line. */
export function readConfig(context: Place): Config {
  try {
    return loadConfig(placeOf(context));
  } catch (error) {
    if (error instanceof ConfigError) throw refusal(error.message);
    throw error;
  }
}
