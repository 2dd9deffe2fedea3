// Reads the configuration as the server does. Commands that need none don't import it: it brings zod along.
import { type Config, ConfigError, loadConfig } from '@backchannel/server/config';
import { refusal } from './failure.ts';

/** @throws Failure with exit code 1 and every problem, one line each. */
export function readConfig(): Config {
  try {
    return loadConfig();
  } catch (error) {
    if (error instanceof ConfigError) throw refusal(error.message);
    throw error;
  }
}
