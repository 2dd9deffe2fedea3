// Reads the configuration as the server does. Commands that need none don't import it: it brings zod along.
import { type Config, ConfigError, loadConfig } from '@backchannel/server/config';
import type { CommandContext } from './context.ts';
import { refusal } from './failure.ts';

type Place = Pick<CommandContext, 'env' | 'root'>;

/** @throws ConfigError with every problem. */
export const loadConfigOf = ({ env, root }: Place): Config => loadConfig({ env, ...(root !== null && { root }) });

/** @throws Failure with exit code 1 and every problem, one line each. */
export function readConfig(context: Place): Config {
  try {
    return loadConfigOf(context);
  } catch (error) {
    if (error instanceof ConfigError) throw refusal(error.message);
    throw error;
  }
}
