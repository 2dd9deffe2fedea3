// Reads the configuration as the server does. Commands that need none don't import it: it brings zod along.
import { type Config, ConfigError, loadConfig } from '@backchannel/server/config';
import type { CommandContext } from './context.ts';
import { refusal } from './failure.ts';

type Place = Pick<CommandContext, 'env' | 'root'>;

/** What `loadConfig` and the checks read. */
export const placeOf = ({ env, root }: Place) => ({ env, ...(root !== null && { root }) });

/** @throws Failure with exit code 1 and every problem, one line each. */
export function readConfig(context: Place): Config {
  try {
    return loadConfig(placeOf(context));
  } catch (error) {
    if (error instanceof ConfigError) throw refusal(error.message);
    throw error;
  }
}
