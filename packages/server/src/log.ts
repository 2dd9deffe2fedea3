// The log: one line for each event, with secrets redacted and control characters escaped.
import { type Logger, pino } from 'pino';
import type { Config } from './config/config.ts';
import { errorCode } from './error-code.ts';
import { StoreUnavailableError } from './store/unavailable.ts';
import { escapeControlCharacters, hidePlainTokens } from './text.ts';

export type Log = Logger;

/** Writes JSON or human-readable lines to stderr. Stdout is for the start block. */
export function createLog(config: Pick<Config, 'logLevel' | 'logFormat'>): Log {
  const options = {
    level: config.logLevel,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: serializeError },
    redact: ['*.authorization', '*.cookie', '*.password', 'authorization', 'cookie', 'password'],
  };
  // Whatever has a token in it, such as the message of an error, does not get past here.
  const write = (line: string) => process.stderr.write(hidePlainTokens(line));
  return pino(options, config.logFormat === 'json' ? { write } : { write: (line: string) => write(prettyLine(line)) });
}

/**
 * Pino's serializer, except that an unavailable database is logged without a stack: every request would repeat it, and it
 * would not help.
 */
function serializeError(error: Error) {
  const unavailable = [error, error.cause].find((each) => each instanceof StoreUnavailableError);
  if (!unavailable) return pino.stdSerializers.err(error);
  const reason =
    unavailable.cause instanceof Error ? ` (${unavailable.cause.message || errorCode(unavailable.cause)})` : '';
  return { type: unavailable.name, message: `${unavailable.message}${reason}` };
}

/** Turns a JSON line into `12:00:00 info  message key=value`. */
function prettyLine(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const head = [String(time).slice(11, 19), String(level).padEnd(5), escapeControlCharacters(String(msg ?? ''))];
  const { stack, message } = { ...(err as { stack?: string; message?: string } | undefined) };
  const why = stack ?? message;
  return `${[...head, ...details.map(escapeControlCharacters)].join(' ')}${why === undefined ? '' : `\n${indent(why)}`}\n`;
}

const indent = (stack: string) =>
  stack
    .split('\n')
    .map((row) => `    ${escapeControlCharacters(row)}`)
    .join('\n');
